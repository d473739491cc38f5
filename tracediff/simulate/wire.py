"""The OpenAI wire format: requests read, replies and event streams written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tracediff.simulate.solver import Message

SYSTEM_FINGERPRINT = "simulation"
_JSON_NAMES = MappingProxyType({str: "a string", list: "an array", dict: "an object", bool: "a boolean"})
_TOKEN = re.compile(r"\w+|[^\w\s]")

Body = Mapping[str, Any]


def tokens(text: str) -> int:
    """Return how many tokens the simulation bills for ``text``: words and punctuation marks."""
    return len(_TOKEN.findall(text))


def messages_of(body: Body) -> list[Message]:
    """Return the messages of a chat or responses request as text, instructions first."""
    found: list[Message] = []
    if isinstance(body.get("instructions"), str):
        found.append(Message("system", body["instructions"]))
    given = body.get("messages", body.get("input", []))
    if isinstance(given, str):
        return [*found, Message("user", given)]
    items = [item for item in given if isinstance(item, dict) and "role" in item] if isinstance(given, list) else []
    return found + [Message(str(item["role"]), _text(item.get("content"))) for item in items]


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def schema_of(body: Body) -> Body:
    """Return the JSON schema that the reply must follow, empty if there is none."""
    chat = body.get("response_format") or {}
    form = (chat.get("json_schema") or {}) if chat else (body.get("text") or {}).get("format") or {}
    schema = form.get("schema")
    return schema if isinstance(schema, dict) else {}


_SCHEMA_SHAPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {"": (dict,), ".properties": (dict,), ".properties.method": (dict,), ".properties.method.enum": (list,)}
)
"""Path within a JSON schema, as far as the simulation reads it -> what may stand there."""


def with_schemas(shapes: Mapping[str, tuple[type, ...]], *places: str) -> Mapping[str, tuple[type, ...]]:
    """Return shapes with those of the JSON schemas at ``places``."""
    schemas = {f"{place}{path}": kinds for place in places for path, kinds in _SCHEMA_SHAPES.items()}
    return MappingProxyType({**shapes, **schemas})


SHAPES = with_schemas(
    {
        "model": (str,),
        "messages": (list,),
        "input": (str, list),
        "instructions": (str,),
        "stream": (bool,),
        "stream_options": (dict,),
        "response_format": (dict,),
        "response_format.json_schema": (dict,),
        "text": (dict,),
        "text.format": (dict,),
    },
    "response_format.json_schema.schema",
    "text.format.schema",
)
"""Path within a request -> what may stand there; it may always be absent or null."""


def misshapen(body: Body, shapes: Mapping[str, tuple[type, ...]] = SHAPES) -> str:
    """Return what is wrong with the shape of a request, in the provider's words; empty when the simulation can read it.

    A server that met it unprepared would drop the connection, which clients take for an outage and repeat.
    """
    for path, kinds in shapes.items():
        *parents, last = path.split(".")
        place: Any = body
        for parent in parents:
            place = place.get(parent) if isinstance(place, dict) else None
        value = place.get(last) if isinstance(place, dict) else None
        if value is not None and not isinstance(value, kinds):
            expected = " or ".join(_JSON_NAMES[kind] for kind in kinds)
            return (
                f"Invalid type for '{path}': expected {expected}, but got {_JSON_NAMES.get(type(value), 'a number')}."
            )
    return ""


def error(message: str, kind: str, code: str | None = None, param: str | None = None) -> Body:
    """Return an error in the provider's shape."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _usage(body: Body, text: str) -> tuple[int, int]:
    return sum(tokens(message.text) + 3 for message in messages_of(body)), tokens(text)


def _id(prefix: str, body: Body) -> str:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return f"{prefix}-{digest[:24]}"


def chat_completion(body: Body, text: str) -> Body:
    """Return a whole chat completion."""
    sent, written = _usage(body, text)
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": _id("chatcmpl", body),
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "system_fingerprint": SYSTEM_FINGERPRINT,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written},
    }


def chat_chunks(body: Body, text: str) -> Iterator[str]:
    """Yield the data lines of a streamed chat completion, the terminator last."""
    base = {
        "id": _id("chatcmpl", body),
        "object": "chat.completion.chunk",
        "created": 0,
        "model": body["model"],
        "system_fingerprint": SYSTEM_FINGERPRINT,
    }
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in re.findall(r"\s*\S+\s*", text)]
    for delta in deltas:
        yield json.dumps({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield json.dumps({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield json.dumps({**base, "choices": [], "usage": chat_completion(body, text)["usage"]})
    yield "[DONE]"


def response(body: Body, text: str) -> Body:
    """Return a whole object of the responses API."""
    sent, written = _usage(body, text)
    content = [{"type": "output_text", "text": text, "annotations": []}]
    output = {"id": _id("msg", body), "type": "message", "role": "assistant", "status": "completed", "content": content}
    usage = {
        "input_tokens": sent,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sent + written,
    }
    return {
        "id": _id("resp", body),
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "model": body["model"],
        "output": [output],
        "usage": usage,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": {"simulated": "true"},
        "parallel_tool_calls": True,
        "temperature": body.get("temperature"),
        "tool_choice": "auto",
        "tools": [],
        "top_p": body.get("top_p"),
    }


def response_events(body: Body, text: str) -> Iterator[tuple[str, str]]:
    """Yield (event name, data line) of a streamed response."""
    whole = response(body, text)
    (item,) = whole["output"]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {
            "type": "response.content_part.added",
            **place,
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        *(
            {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
            for piece in re.findall(r"\s*\S+\s*", text)
        ),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": item["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    for number, event in enumerate(events):
        yield event["type"], json.dumps({**event, "sequence_number": number})
