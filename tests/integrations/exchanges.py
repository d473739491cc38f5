"""Random exchanges: what a program asks, and what a provider answers, whole or as events, well formed or not.

Everything is drawn from one ``random.Random``, so a seed says it all.
"""

import copy
import gzip
import json
from dataclasses import dataclass, field

from tests.integrations.answers import EVENTS, WHOLE, maybe, some


JUNK = [None, True, 0, -1, 2.5, "", "odd", [], {}, [None], {"a": 1}, ["x", {"type": "y"}], [[]], {"type": None}]
APIS = ("chat.completions", "responses", "completions", "embeddings", "messages", "beta.messages")
ENDS = ("ReadError", "ReadTimeout", "RemoteProtocolError")


@dataclass
class Exchange:
    api: str
    asked: dict
    answers: list
    """One for each time that the client may ask; the last again and again."""
    is_stream: bool
    is_odd: bool
    """Something in it is not as a provider should send it: no telling what the record should say."""
    text: str | None = None
    """What the record's content must be, once all was read."""
    usage: tuple | None = None
    parses: bool = False

    @property
    def library(self):
        return "anthropic" if "messages" in self.api else "openai"


@dataclass
class Answer:
    chunks: list
    status: int = 200
    headers: dict = field(default_factory=dict)
    end: str = ""
    """Name of the transport's exception after the last chunk."""


# What the program asks


def asked_of(rng, api):
    words = some(rng) or "How many?"
    if api == "completions":
        return {
            "model": "sim",
            "prompt": rng.choice([words, [words, "b"], [1, 2]]),
            **maybe(rng, n=2, stop=["x"], suffix="z"),
        }
    if api == "embeddings":
        return {"model": "sim", "input": rng.choice([words, [words, "b"]]), **maybe(rng, encoding_format="float")}
    user = {"role": "user", "content": words}
    extra = maybe(rng, extra_headers={"x-own": "1"}, extra_query={"q": "1"}, extra_body={"top_k": 3}, timeout=9.5)
    if api == "responses":
        picture = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 90, "detail": "auto"}
        result = {"type": "function_call_output", "call_id": "c", "output": words}
        listed = [user, {"role": "user", "content": [{"type": "input_text", "text": words}, picture]}, result]
        more = maybe(
            rng, instructions=words, tools=[{"type": "function", "name": "look", "parameters": {}, "strict": True}]
        )
        return {
            "model": "sim",
            "input": rng.choice([words, listed, [user]]),
            **more,
            **extra,
            **maybe(rng, temperature=0.5),
        }
    if api == "chat.completions":
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 90}}
        calls = [{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
        more = maybe(
            rng, tools=[{"type": "function", "function": {"name": "look", "parameters": {}}}], n=2, seed=3, stop="x"
        )
        turns = [
            [
                {"role": "assistant", "content": None, "tool_calls": calls},
                {"role": "tool", "tool_call_id": "c", "content": words},
            ],
            [{"role": "user", "content": [{"type": "text", "text": words}, picture]}],
        ]
        messages = [{"role": "system", "content": words}, user, *rng.choice([[], *turns])]
        return {"model": "sim", "messages": messages, **more, **extra}
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 90}}
    used = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    turns = [
        [
            {"role": "assistant", "content": [used]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": words}]},
        ],
        [{"role": "user", "content": [picture, {"type": "text", "text": words}]}],
    ]
    more = maybe(
        rng,
        system=rng.choice([words, [{"type": "text", "text": words}]]),
        metadata={"user_id": "u"},
        stop_sequences=["x"],
    )
    more |= maybe(rng, tools=[{"name": "look", "input_schema": {"type": "object", "properties": {}}}])
    return {"model": "sim", "max_tokens": 9, "messages": [user, *rng.choice([[], *turns])], **more, **extra}


# What goes wrong


def bent(rng, body):
    """A copy with a few places changed to what nobody expects there."""
    body = json.loads(json.dumps(body))
    for _ in range(rng.choice([1, 1, 2, 4])):
        place = body
        while True:
            inner = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not inner:
                break
            key = rng.choice(inner)
            if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.8:
                place = place[key]
                continue
            match rng.randrange(3):
                case 0:
                    place[key] = copy.deepcopy(rng.choice(JUNK))
                case 1 if isinstance(place, dict) and key != "type":
                    del place[key]
                case _ if isinstance(place, dict):
                    place[rng.choice(["brand_new", "content", "index", "usage"])] = copy.deepcopy(rng.choice(JUNK))
            break
    return body


def framed(rng, found, api):
    """Events as they go over the wire: names, comments, line ends, several lines of data."""
    is_named = api in ("responses", "messages", "beta.messages")
    line = rng.choice(["\n", "\n", "\n", "\r\n", "\r"])
    parts = []
    for event in found:
        text = json.dumps(event, ensure_ascii=rng.random() < 0.5)
        lines = [f"event: {event.get('type')}"] if is_named and isinstance(event, dict) else []
        lines += [f"data:{rng.choice([' ', ''])}{text}"]
        if rng.random() < 0.1:
            lines.insert(0, rng.choice([": keep-alive", "id: 7", "retry: 10", "brand-new: 1"]))
        if rng.random() < 0.05:
            parts.append(f": ping{line}{line}")
        parts.append(line.join(lines) + line * 2)
    if not is_named and rng.random() < 0.9:
        parts.append(f"data: [DONE]{line}{line}")
    return parts


def split(rng, data):
    """The bytes in packets, cut anywhere."""
    match rng.randrange(4):
        case 0:
            return [data]
        case 1 if len(data) < 6_000:
            return [data[at : at + 1] for at in range(len(data))]
        case _:
            cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 20)))
            return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)])]


REFUSALS = (
    (400, b'{"error": {"message": "no", "type": "invalid_request_error", "code": "bad", "param": null}}'),
    (401, b'{"error": "no"}'),
    (429, b"slow down"),
    (500, b'{"type": "error", "error": {"type": "api_error", "message": "x"}}'),
    (529, b""),
    (404, b"<html>not here</html>"),
)


def exchange(rng, api=None, *, is_stream=None):
    """One exchange."""
    api = api or rng.choice(APIS)
    is_stream = (rng.random() < 0.6 if is_stream is None else is_stream) and api in EVENTS
    parses = api in ("chat.completions", "responses", "messages", "beta.messages") and rng.random() < 0.2
    text = json.dumps({"place": some(rng)}) if parses else some(rng, 8)
    body, usage, is_single = (EVENTS if is_stream else WHOLE)[api](rng, text)
    is_bent = rng.random() < 0.3
    headers = {
        "content-type": "text/event-stream" if is_stream else "application/json",
        "request-id": "r",
        "x-request-id": "r",
    }
    end = ""
    if is_stream:
        if is_bent:
            at = rng.randrange(len(body))
            match rng.randrange(5):
                case 0:
                    body[at] = bent(rng, body[at])
                case 1:
                    body.insert(at, {"type": "brand.new", "index": 0, "delta": {"type": "brand_new", "text": "x"}})
                case 2:
                    body.insert(at, {"type": "error", "error": {"message": "overloaded", "type": "overloaded_error"}})
                case 3:
                    del body[at]
                case _:
                    body = [bent(rng, event) for event in body]
        data = "".join(framed(rng, body, api)).encode()
        if rng.random() < 0.15:
            data, is_bent = data[: rng.randrange(len(data))], True
        if rng.random() < 0.15:
            end, is_bent = rng.choice(ENDS), True
    else:
        data = json.dumps(bent(rng, body) if is_bent else body, ensure_ascii=rng.random() < 0.5).encode()
        if rng.random() < 0.08:
            is_bent = True
            data = rng.choice(
                [b"", b"null", b"[1]", b"<html>Sorry</html>", data[: len(data) // 2], b'"text"', b"\xff\xfe"]
            )
            headers["content-type"] = rng.choice(["application/json", "text/html", "text/plain; charset=utf-8"])
    if rng.random() < 0.1:
        headers["content-encoding"], data = "gzip", gzip.compress(data, mtime=0)
    if rng.random() < 0.05:
        del headers["content-type"]
        is_bent = True
    answers = [Answer(split(rng, data), 200, headers, end)]
    if rng.random() < 0.12:
        status, said = rng.choice(REFUSALS)
        refused = Answer(
            [said], status, {"retry-after-ms": "1", "content-type": rng.choice(["application/json", "text/plain"])}
        )
        answers = [refused] if rng.random() < 0.5 else [refused, *answers]
        is_bent = True
    asked = asked_of(rng, api)
    return Exchange(api, asked, answers, is_stream, is_bent, text if is_single else None, usage, parses)
