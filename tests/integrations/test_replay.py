"""Recorded and hand-made exchanges through the real clients: with tracediff and without, the program sees the same.

The recorded ones lie outside of the project: ``TRACEDIFF_DATA`` names their folder, else ``shared/data`` beside the project.
"""

import copy
import json
import os
import threading
import warnings
from pathlib import Path

import pytest

from tests.integrations import anthropic_bodies, bodies, modes, shapes_table
from tests.integrations.loopback import Answer, Loopback, as_json, events, named_events, page
from tests.integrations.shapes_table import Case, Clients
from tracediff import attributes as keys
from tracediff.capture.faults import faults
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.graph.runs import record

DATA = (
    Path(os.environ.get("TRACEDIFF_DATA") or Path(__file__).parents[2] / "../shared/data")
    / "recorded/interactions.jsonl"
)
METHODS = {
    "/chat/completions": ("openai", "chat.completions", ("model", "messages")),
    "/responses": ("openai", "responses", ("model", "input")),
    "/embeddings": ("openai", "embeddings", ("model", "input")),
    "/completions": ("openai", "completions", ("model", "prompt")),
    "/messages": ("anthropic", "messages", ("model", "messages", "max_tokens")),
}
HELPED = ("chat.completions", "responses", "messages")


@pytest.fixture(scope="module")
def server():
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture(scope="module")
def clients(server):
    made = Clients(server)
    yield made
    made.close()


def case_of(row, mode, method):
    """A recorded exchange as a call of ``mode``."""
    library, api, named = next(known for end, known in METHODS.items() if row["path"].partition("?")[0].endswith(end))
    request = {name: value for name, value in row["request"].items() if name != "stream"}
    asked = {name: request.pop(name) for name in named if name in request}
    if request:
        asked["extra_body"] = request
    types = {name.lower(): value for name, value in row["headers"].items()}
    headers = {"content-type": types.get("content-type", "application/json")}
    answer = Answer([row["response"].encode()], row["status"], headers)
    return Case(library, f"{api}.{method}", mode, asked, answer, None)


def outcome(case, server, clients):
    """All that the program can see: result or exception, warnings and where they point, its arguments, the request."""
    server.script(case.answer)
    given = copy.deepcopy(case.asked)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            result = case.mode(case.api(clients.get(case)), case.asked)
            result = clients.run(result) if case.is_async else result
        except Exception as error:
            result = type(error), str(error), getattr(error, "body", None), getattr(error, "status_code", None)
    assert case.asked == given
    said = [(each.category, str(each.message), each.filename, each.lineno) for each in told]
    return result, [one for one in said if one[0] is not ResourceWarning], list(server.seen)


def compared(case, server, clients):
    """The one record of a call that was the same as the bare one."""
    bare = outcome(case, server, clients)
    instrument(case.library)
    try:
        with record() as run:
            traced = outcome(case, server, clients)
    finally:
        uninstrument()
    assert traced == bare, case.name
    (made,) = run.records
    return bare[0], made


# Recorded exchanges


def recorded():
    if not DATA.exists():
        pytest.skip(f"the recorded exchanges are not there: {DATA} (TRACEDIFF_DATA names their folder)")
    rows = [json.loads(line) for line in DATA.read_text().splitlines()]
    libraries = {"openai": shapes_table.openai, "anthropic": shapes_table.anthropic}
    return [row for row in rows if libraries["anthropic" if row["kind"] == "messages" else "openai"] is not None]


OFTEN = (modes.create, modes.raw, modes.stream, modes.stream_next, modes.stream_partly, modes.astream, modes.helper)
"""Modes that every exchange is replayed in; the others take every third, each another one."""


def rows_for(mode, rows):
    if mode in OFTEN:
        return rows
    return rows[(*modes.WHOLE, *modes.STREAMED, *modes.PARTLY).index(mode) % 3 :: 3] if mode in _SPREAD else rows[::2]


_SPREAD = (*modes.WHOLE, *modes.STREAMED, *modes.PARTLY)


@pytest.mark.parametrize(
    "mode", [*modes.WHOLE, modes.create_generator, modes.parse, modes.aparse], ids=lambda m: m.__name__
)
def test_recorded_answers(server, clients, mode):
    before = faults.counts()
    method = "parse" if mode in (modes.parse, modes.aparse) else "create"
    rows = [row for row in recorded() if not row["sse"]]
    if method == "parse":
        rows = [row for row in rows if row["kind"] not in ("embeddings", "completions")]
    if mode is modes.create_generator:
        rows = [
            row
            for row in rows
            if row["kind"] in ("chat", "messages") and isinstance(row["request"].get("messages"), list)
        ]
    for row in rows_for(mode, rows):
        _, made = compared(case_of(row, mode, method), server, clients)
        if row["status"] != 200:
            assert "Error" in made.error or made.error is None
            assert made.error or mode not in (modes.create, modes.raw, modes.acreate)
            continue
        assert made.output is not None, row["cassette"]
        assert keys.FAULT not in made.attributes, row["cassette"]
        assert_said(made, json.loads(row["response"]), row)
    assert faults.counts() == before


def assert_said(made, body, row):
    """The record says what the provider said."""
    if row["kind"] != "embeddings":
        assert made.attributes[keys.RESPONSE_ID] == body["id"]
    assert made.attributes[keys.RESPONSE_MODEL] == body["model"]
    usage = body.get("usage") or {}
    sent = usage.get("prompt_tokens", usage.get("input_tokens"))
    if row["kind"] == "messages":
        sent += (usage.get("cache_read_input_tokens") or 0) + (usage.get("cache_creation_input_tokens") or 0)
    if sent is not None:
        assert made.attributes[keys.USAGE_INPUT_TOKENS] == sent
    if row["kind"] == "chat":
        reasons = [choice["finish_reason"] for choice in body["choices"]]
        assert made.attributes[keys.RESPONSE_FINISH_REASONS] == reasons
        if len(reasons) == 1:
            assert made.output.get("content") == (body["choices"][0]["message"].get("content") or None)


@pytest.mark.parametrize(
    "mode", [*modes.STREAMED, *modes.PARTLY, modes.helper, modes.helper_partly, modes.ahelper], ids=lambda m: m.__name__
)
def test_recorded_streams(server, clients, mode):
    before = faults.counts()
    is_helper = "helper" in mode.__name__
    rows = [row for row in recorded() if row["sse"] and (not is_helper or row["kind"] != "completions")]
    for row in rows_for(mode, rows):
        seen, made = compared(case_of(row, mode, "stream" if is_helper else "create"), server, clients)
        assert made.end_ns
        if "partly" in mode.__name__ or issubclass(seen[0], Exception):  # the helper's own, over an event unknown to it
            assert made.error or made.attributes.get(keys.FAULT) in ("abandoned", None)
        elif made.error is None:
            assert made.output is not None, row["cassette"]
            assert keys.FAULT not in made.attributes, row["cassette"]
    assert faults.counts() == before


# Hand-made ones

CHAT_EVENTS = bodies.chat_chunks()
STREAMS = {
    "chat.completions": (shapes_table.CHAT, events(CHAT_EVENTS), events),
    "responses": (shapes_table.RESPONSES, named_events(bodies.response_events()), named_events),
    "messages": (shapes_table.MESSAGES, named_events(anthropic_bodies.message_events()), named_events),
    "beta.messages": (shapes_table.MESSAGES, named_events(anthropic_bodies.message_events()), named_events),
}
LIBRARIES = {name: "anthropic" if "messages" in name else "openai" for name in STREAMS}
APIS = [name for name in STREAMS if getattr(shapes_table, LIBRARIES[name]) is not None]
READERS = (modes.stream, modes.astream, modes.streaming_lines, modes.helper)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("end", ["cut", "over"])
def test_a_stream_cut_at_every_chunk(server, clients, api, end):
    asked, whole, _ = STREAMS[api]
    for mode in READERS:
        for length in range(len(whole.chunks)):
            chunks = [*whole.chunks[:length], *([None] if end == "cut" else [])]
            method = f"{api}.{'stream' if mode is modes.helper else 'create'}"
            case = Case(LIBRARIES[api], method, mode, asked, Answer(chunks, 200, whole.headers), None)
            _, made = compared(case, server, clients)
            told = any(
                b'finish_reason": "stop' in chunk or b'stop_reason": "end' in chunk for chunk in whole.chunks[:length]
            )
            told = told or any(b"response.completed" in chunk for chunk in whole.chunks[:length])
            assert made.error or keys.FAULT in made.attributes or told, (mode.__name__, length)


def test_usage_may_stand_in_the_last_chunk_only(server, clients):
    case = Case(
        "openai", "chat.completions.create", modes.stream, shapes_table.CHAT, STREAMS["chat.completions"][1], None
    )
    _, made = compared(case, server, clients)
    assert "usage" not in json.dumps(CHAT_EVENTS[:-1])
    assert made.attributes[keys.USAGE_OUTPUT_TOKENS] == 7


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    "mode", [modes.stream, modes.astream, modes.stream_next, modes.helper], ids=lambda m: m.__name__
)
def test_an_error_in_the_middle_of_a_stream(server, clients, api, mode):
    asked, whole, _ = STREAMS[api]
    broken = {"error": {"message": "overloaded", "type": "server_error"}}
    error = events([broken], done=False) if api == "chat.completions" else named_events([{"type": "error", **broken}])
    method = f"{api}.{'stream' if mode is modes.helper else 'create'}"
    answer = Answer([*whole.chunks[:4], *error.chunks], 200, whole.headers)
    _, made = compared(Case(LIBRARIES[api], method, mode, asked, answer, None), server, clients)
    assert made.error


PAGES = [
    page("<html>Sorry</html>", "text/html"),
    page("", "text/plain"),
    page("", "application/json"),
    page('{"id": "x", "cho'),
    page("[1, 2]"),
    page("null"),
    as_json({}),
    as_json({"error": {"message": "overloaded"}}),
    as_json({"error": {"message": "no"}}, 400),
    page("<html>Bad gateway</html>", "text/html", 502),
]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    "mode", [*modes.WHOLE, modes.stream, modes.astream, modes.raw_stream], ids=lambda m: m.__name__
)
def test_a_page_or_broken_json_at_status_200(server, clients, api, mode):
    asked = STREAMS[api][0]
    for answer in PAGES:
        _, made = compared(Case(LIBRARIES[api], f"{api}.create", mode, asked, answer, None), server, clients)
        assert made.error or keys.FAULT in made.attributes, (answer, made)


async def aread(api, asked, arrived):
    async for _ in await api.create(**asked, stream=True):
        arrived()


def read(api, asked, arrived):
    for _ in api.create(**asked, stream=True):
        arrived()


def read_by_next(api, asked, arrived):
    answer = api.create(**asked, stream=True)
    while next(answer, None):
        arrived()


def read_lines(api, asked, arrived):
    with api.with_streaming_response.create(**asked, stream=True) as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                arrived()


async def aread_lines(api, asked, arrived):
    async with api.with_streaming_response.create(**asked, stream=True) as answer:
        async for line in answer.iter_lines():
            if line.startswith("data:"):
                arrived()


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("reader", [read, read_by_next, read_lines, aread, aread_lines], ids=lambda r: r.__name__)
def test_each_event_reaches_the_program_before_the_next_is_sent(server, clients, api, reader):
    asked, whole, _ = STREAMS[api]
    chunks = [chunk for chunk in whole.chunks if b"ping" not in chunk]
    gates = [threading.Event() for _ in chunks]
    server.script(Answer([part for pair in zip(chunks, gates) for part in pair][:-1], 200, whole.headers))
    case = Case(LIBRARIES[api], f"{api}.create", reader, asked, None, None)
    opening = iter([*gates, *gates])
    instrument(LIBRARIES[api])
    try:
        with record() as run:
            result = reader(case.api(clients.get(case)), asked, lambda: next(opening).set())
            clients.run(result) if case.is_async else None
    finally:
        uninstrument()
    assert server.late == 0
    (made,) = run.records
    assert made.output == {"content": shapes_table.SEVEN}
