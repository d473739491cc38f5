"""Every call shape of the clients: how it is called, what the server answers, and the table of what is recorded.

``python -m tests.integrations.shapes_table`` writes the table of integrations/README.md anew for the client versions that
are installed here; the columns of other versions stay as they are.
"""

import asyncio
import contextvars
import inspect
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import pydantic

from tests.integrations import anthropic_bodies, bodies, modes
from tests.integrations.loopback import Answer, Loopback, as_json, events, named_events
from tracediff import attributes as keys
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.graph.runs import record

try:
    import openai
except ModuleNotFoundError:
    openai = None
try:
    import anthropic
except ModuleNotFoundError:
    anthropic = None
try:
    import botocore
except ModuleNotFoundError:
    botocore = None

README = Path(__file__).parents[2] / "integrations" / "README.md"
QUESTION = {"role": "user", "content": "How many animals?"}
PIXEL = "iVBORw0KGgo" + "A" * 80
COUNT = '{"place": "barn"}'
SEVEN = "There are seven."


class Count(pydantic.BaseModel):
    place: str


@dataclass(frozen=True)
class Case:
    library: str
    method: str
    """As a program writes it, after ``client.``."""
    mode: object
    asked: dict
    answer: Answer
    text: object
    """What the record's output must hold: the content, or the whole output where it has none."""
    client: str = ""
    """Another client class than the plain one."""

    @property
    def is_async(self):
        return inspect.iscoroutinefunction(self.mode)

    @property
    def name(self):
        return "-".join(filter(None, (self.library, self.client, self.method, self.mode.__name__)))

    def api(self, client):
        for part in self.method.split(".")[:-1]:
            client = getattr(client, part)
        return client


def sse(found):
    return named_events(found)


CHAT = {"model": "sim", "messages": [QUESTION]}
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
RESPONSES = {"model": "sim", "input": [QUESTION], "instructions": "Count."}
LEGACY = {"model": "sim", "prompt": "Say"}
VECTORS = {"model": "sim", "input": ["a cat", "a dog"]}
MESSAGES = {"model": "sim", "max_tokens": 9, "messages": [QUESTION], "system": "Count."}
SOURCE = {"type": "base64", "media_type": "image/png", "data": PIXEL}
PICTURED = {**MESSAGES, "messages": [{"role": "user", "content": [{"type": "image", "source": SOURCE}]}]}
LOOK = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
CALLED = {"tool_calls": [{"id": "call_1", "name": "look", "arguments": COUNT}]}


def _legacy(**choice):
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "sim-2026", "usage": bodies.USAGE}
    return {**head, "choices": [{"index": 0, "logprobs": None, **choice}]}


def _openai():
    chat, streamed = as_json(bodies.chat()), events(bodies.chat_chunks())
    counted = as_json(bodies.chat(COUNT))
    response, response_sse = as_json(bodies.response()), sse(bodies.response_events())
    legacy = as_json(_legacy(text=bodies.TEXT, finish_reason="stop"))
    pieces = [_legacy(text=piece, finish_reason=reason) for piece, reason in ((SEVEN[:5], None), (SEVEN[5:], "stop"))]
    vector = {"object": "embedding", "embedding": [0.5, 0.25]}
    usage = {"prompt_tokens": 12, "total_tokens": 12}
    data = [{**vector, "index": index} for index in range(2)]
    vectors = as_json({"object": "list", "data": data, "model": "sim-2026", "usage": usage})
    floats = {**VECTORS, "encoding_format": "float"}
    made = [
        *_all("openai", "chat.completions", CHAT, chat, bodies.TEXT, streamed, SEVEN),
        *_all("openai", "responses", RESPONSES, response, bodies.TEXT, response_sse, SEVEN),
        *_all("openai", "completions", LEGACY, legacy, bodies.TEXT, events(pieces), SEVEN),
    ]
    for mode in modes.WHOLE:
        method = "embeddings.create"
        made.append(Case("openai", method, mode, floats, vectors, {"vectors": ["vector of 2", "vector of 2"]}))
    for mode in (modes.helper, modes.helper_final, modes.ahelper):
        made.append(Case("openai", "chat.completions.stream", mode, CHAT, streamed, SEVEN))
        made.append(Case("openai", "responses.stream", mode, RESPONSES, response_sse, SEVEN))
    for mode in (modes.parse, modes.aparse):
        asked = {**CHAT, "response_format": Count}
        made.append(Case("openai", "chat.completions.parse", mode, asked, counted, COUNT))
        asked = {**RESPONSES, "text_format": Count}
        made.append(Case("openai", "responses.parse", mode, asked, as_json(bodies.response(COUNT)), COUNT))
    called = as_json(bodies.chat(None, "tool_calls", [bodies.CALL]))
    pictured = {**CHAT, "messages": [{"role": "user", "content": [IMAGE, {"type": "text", "text": "Count."}]}]}
    create = "chat.completions.create"
    for mode in (modes.create, modes.raw, modes.stream, modes.acreate, modes.astream):
        is_streamed = mode in (modes.stream, modes.astream)
        answer, text = (response_sse, SEVEN) if is_streamed else (response, bodies.TEXT)
        made.append(Case("openai", "beta.responses.create", mode, RESPONSES, answer, text))
    for mode in (modes.count_input, modes.acount_input):
        counts = as_json({"object": "response.input_tokens", "input_tokens": 12})
        made.append(Case("openai", "responses.input_tokens.count", mode, RESPONSES, counts, {"input_tokens": 12}))
    for extra in ("AzureOpenAI", "BedrockOpenAI"):
        for mode in (modes.create, modes.stream, modes.acreate, modes.astream):
            case = chat if mode in (modes.create, modes.acreate) else streamed
            text = bodies.TEXT if case is chat else SEVEN
            made.append(Case("openai", create, mode, CHAT, case, text, extra))
    return [
        *made,
        Case("openai", create, modes.create_generator, CHAT, chat, bodies.TEXT),
        Case("openai", create, modes.create, {**CHAT, "tools": [TOOL]}, called, CALLED, "with tools"),
        Case(
            "openai",
            create,
            modes.stream,
            {**CHAT, "tools": [TOOL]},
            events(bodies.tool_chunks()),
            CALLED,
            "with tools",
        ),
        Case("openai", create, modes.create, pictured, chat, bodies.TEXT, "with an image"),
        Case("openai", create, modes.create, CHAT, as_json(bodies.spoken()), {"transcript": SEVEN}, "with audio"),
        Case("openai", create, modes.stream, CHAT, events(bodies.spoken_chunks()), {"transcript": SEVEN}, "with audio"),
    ]


def _all(library, api, asked, answer, text, streamed, seven, client=""):
    """The method ``create`` of an API in every mode."""
    found = [Case(library, f"{api}.create", mode, asked, answer, text, client) for mode in modes.WHOLE]
    return found + [Case(library, f"{api}.create", mode, asked, streamed, seven, client) for mode in modes.STREAMED]


def _anthropic():
    message = as_json(anthropic_bodies.message())
    streamed = sse(anthropic_bodies.message_events())
    counted = as_json(anthropic_bodies.message(COUNT))
    tokens = as_json(anthropic_bodies.COUNT)
    text = anthropic_bodies.TEXT
    parsing = {**MESSAGES, "output_format": Count}
    made = []
    for api in ("messages", "beta.messages"):
        made += _all("anthropic", api, MESSAGES, message, text, streamed, SEVEN)
        for mode in (modes.helper, modes.helper_final, modes.helper_text, modes.ahelper, modes.ahelper_text):
            made.append(Case("anthropic", f"{api}.stream", mode, MESSAGES, streamed, SEVEN))
        for mode in (modes.parse, modes.aparse, *([modes.raw_parse] if api != "messages" else [])):
            made.append(Case("anthropic", f"{api}.parse", mode, parsing, counted, COUNT))
        for mode in (modes.count, modes.raw_count, modes.acount):
            asked = {name: value for name, value in MESSAGES.items() if name != "max_tokens"}
            method = f"{api}.count_tokens"
            made.append(Case("anthropic", method, mode, asked, tokens, {"input_tokens": 12}))
        made.append(Case("anthropic", f"{api}.create", modes.create_generator, MESSAGES, message, text))
    for client in ("AnthropicVertex", "AnthropicBedrock", "AnthropicFoundry"):
        for api in ("messages", "beta.messages"):
            method = f"{api}.create"
            for mode in (modes.create, modes.raw, modes.streaming_bytes, modes.acreate):
                made.append(Case("anthropic", method, mode, MESSAGES, message, text, client))
            if client == "AnthropicBedrock" and botocore is None:
                continue
            events_of = anthropic_bodies.amazon(anthropic_bodies.message_events())
            case = events_of if client == "AnthropicBedrock" else streamed
            for mode in (modes.stream, modes.streaming_stream, modes.astream, modes.astreaming_stream):
                made.append(Case("anthropic", method, mode, MESSAGES, case, SEVEN, client))
            made.append(Case("anthropic", f"{api}.stream", modes.helper, MESSAGES, case, SEVEN, client))
            made.append(Case("anthropic", f"{api}.parse", modes.parse, parsing, counted, COUNT, client))
    called = {"tool_calls": [{"id": "toolu_1", "name": "look", "arguments": {"place": "barn"}}]}
    calling = anthropic_bodies.message(None, "tool_use", [anthropic_bodies.CALL])
    streaming = sse(anthropic_bodies.message_events((), "tool_use", [anthropic_bodies.CALL]))
    create, asked = "messages.create", {**MESSAGES, "tools": [LOOK]}
    return [
        *made,
        Case("anthropic", create, modes.create, asked, as_json(calling), called, "with tools"),
        Case("anthropic", create, modes.stream, asked, streaming, called, "with tools"),
        Case("anthropic", create, modes.create, PICTURED, message, text, "with an image"),
    ]


CASES = [*(_openai() if openai else []), *(_anthropic() if anthropic else [])]


class Clients:
    """One client of each class, made when first asked for, all for one server."""

    def __init__(self, server):
        self._made = {}
        self._runner = asyncio.Runner()
        self._root = server.base_url.removesuffix("/v1")

    def run(self, main):
        """What a coroutine returns, in the one loop that the async clients belong to and in this context."""
        return self._runner.run(main, context=contextvars.copy_context())

    def get(self, case):
        kind = (case.library, case.client, case.is_async)
        if kind not in self._made:
            self._made[kind] = self._make(case, is_async=case.is_async)
        return self._made[kind]

    def _make(self, case, *, is_async):
        module = openai if case.library == "openai" else anthropic
        name = (
            case.client if case.client[:1].isupper() else {"openai": "OpenAI", "anthropic": "Anthropic"}[case.library]
        )
        settings = {"max_retries": 0, "base_url": self._root}
        match name:
            case "OpenAI":
                settings |= {"api_key": "k", "base_url": f"{self._root}/v1"}
            case "AzureOpenAI":
                del settings["base_url"]
                settings |= {"api_key": "k", "azure_endpoint": self._root, "api_version": "v"}
            case "BedrockOpenAI":
                settings |= {"api_key": "k", "base_url": f"{self._root}/v1"}
            case "AnthropicVertex":
                settings |= {"access_token": "k", "region": "r", "project_id": "p"}
            case "AnthropicBedrock":
                settings |= {"api_key": "k", "aws_region": "r"}
            case _:
                settings |= {"api_key": "k"}
        return getattr(module, f"Async{name}" if is_async else name)(**settings)

    def close(self):
        for (_, _, is_async), client in self._made.items():
            self.run(client.close()) if is_async else client.close()
        self._runner.close()


def use(case, clients):
    """What the program sees."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pydantic's, about structured output
        result = case.mode(case.api(clients.get(case)), case.asked)
        return clients.run(result) if case.is_async else result


def traced(case, server, clients):
    """What the program sees, and the records."""
    server.script(case.answer)
    instrument(case.library)
    try:
        with record() as run:
            result = use(case, clients)
    finally:
        uninstrument()
    return result, run.records


# The table

_SAID = {
    keys.USAGE_INPUT_TOKENS: "tokens",
    keys.USAGE_CACHE_READ_TOKENS: "cached",
    keys.RESPONSE_FINISH_REASONS: "finish",
    keys.RESPONSE_MODEL: "model",
    keys.RESPONSE_ID: "id",
    keys.RESPONSE_TIME_TO_FIRST_CHUNK: "first chunk",
}


_SAYS = {
    "create": "the answer",
    "create_generator": "messages given as a generator",
    "raw": "`with_raw_response`",
    "streaming_parse": "`with_streaming_response`, parsed",
    "streaming_bytes": "`with_streaming_response`, bytes",
    "stream": "`stream=True`",
    "stream_with": "`stream=True`, in a `with` block",
    "stream_next": "`stream=True`, by `next`",
    "raw_stream": "`stream=True`, `with_raw_response`",
    "streaming_stream": "`stream=True`, `with_streaming_response`, parsed",
    "streaming_lines": "`stream=True`, `with_streaming_response`, lines",
    "helper": "events and the final answer",
    "helper_final": "the final answer",
    "helper_text": "`text_stream`",
    "parse": "structured output",
    "raw_parse": "structured output, `with_raw_response`",
    "count": "the count",
    "raw_count": "the count, `with_raw_response`",
    "count_input": "the count",
}
"""Mode -> what the program does; one with an ``a`` before it is the same of the async client."""


def row_of(case, records):
    """One line: the call, then what one record of it holds."""
    (made,) = records
    client = case.client or {"openai": "OpenAI", "anthropic": "Anthropic"}[case.library]
    called = f"`{'Async' if case.is_async and client[0].isupper() else ''}{client}`" if client[0].isupper() else client
    method = f"`{case.method}`, {_SAYS[case.mode.__name__.removeprefix('a')]}"
    kind = f"{made.attributes[keys.OPERATION_NAME]} ({made.kind})"
    inputs = ", ".join(made.inputs)
    output = ", ".join(made.output)
    said = ", ".join(word for key, word in _SAID.items() if key in made.attributes)
    return f"| {called} | {method} | {kind} | {inputs} | {output} | {said} |"


def version_of(library):
    return f"{library} {(openai if library == 'openai' else anthropic).__version__}"


def lines_of(library, text):
    """Row -> versions that it was checked with, as a README says."""
    found = {}
    for line in re.findall(rf"(?ms)^## {library}$(.*?)(?=^## |\Z)", text):
        for row, versions in re.findall(r"(?m)^(\|.*?\|) ([^|]*[0-9][^|]*) \|$", line):
            found[row] = versions.split(", ")
    return found


def release(version, parts=1):
    """The line of releases that a version belongs to, ``2`` or ``2.45``."""
    return version.split(".")[:parts]


def in_order(versions):
    return ", ".join(sorted(versions, key=lambda version: [int(part) for part in re.findall("[0-9]+", version)]))


def table_of(library, rows, text):
    """The section of a library, with the rows that were just checked and what older text says of other releases."""
    now = (openai if library == "openai" else anthropic).__version__
    known = lines_of(library, text)
    kept = {row: [at for at in known.get(row, []) if release(at, 2) != release(now, 2)] for row in [*rows, *known]}
    lines = [f"{row} {in_order([*kept[row], *([now] if row in rows else [])])} |" for row in kept]
    lines = [line for line in lines if not line.endswith("|  |")]
    head = "| client | call | operation (kind) | inputs | output | of the answer | checked with |\n|---|---|---|---|---|---|---|"
    return f"## {library}\n\n{head}\n" + "\n".join(lines) + "\n"


def written(text, rows):
    """The README with these rows, library -> rows."""
    for library, found in rows.items():
        section = table_of(library, found, text)
        pattern = rf"(?ms)^## {library}$.*?(?=^## |\Z)"
        text = re.sub(pattern, lambda _, new=section: new + "\n", text).rstrip() + "\n"
    return text


def observed():
    """Library -> rows, from running every case."""
    server = Loopback()
    clients = Clients(server)
    rows = {}
    try:
        for case in CASES:
            rows.setdefault(case.library, []).append(row_of(case, traced(case, server, clients)[1]))
    finally:
        clients.close()
        server.close()
    return rows


if __name__ == "__main__":
    README.write_text(written(README.read_text(), observed()))
