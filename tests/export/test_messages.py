"""Requests and answers as messages of the GenAI conventions: every shape of the clients, as the published schemas say."""

import json

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.integrations import anthropic_bodies, bodies
from tests.integrations.loopback import Loopback, as_json, events
from tracediff import attributes as keys
from tracediff.capture import content, instrument, messages, uninstrument
from tracediff.capture.records import SpanRecord
from tracediff.capture.values import Cut, Placeholder
from tracediff.graph.runs import record

# What the published schemas of gen_ai.input.messages, gen_ai.output.messages and gen_ai.system_instructions require.
PARTS = {
    "text": {"content": str},
    "reasoning": {"content": str},
    "tool_call": {"name": str, "id": (str, type(None))},
    "tool_call_response": {"response": object, "id": (str, type(None))},
    "server_tool_call": {"name": str, "server_tool_call": dict, "id": (str, type(None))},
    "server_tool_call_response": {"server_tool_call_response": dict, "id": (str, type(None))},
    "blob": {"modality": str, "content": str, "mime_type": (str, type(None))},
    "uri": {"modality": str, "uri": str},
    "file": {"modality": str, "file_id": str},
}


def check_parts(parts):
    for part in parts:
        assert isinstance(part["type"], str)
        for name, wanted in PARTS.get(part["type"], {}).items():
            assert isinstance(part[name], wanted), part
        for detail in ("server_tool_call", "server_tool_call_response"):
            assert "type" in part.get(detail, {"type": ""})
    return parts


def asked(**inputs):
    found = messages.asked(inputs)
    for message in found:
        assert isinstance(message["role"], str)
        check_parts(message["parts"])
    return [(message["role"], message["parts"]) for message in found]


def text(said):
    return {"type": "text", "content": said}


LOOK = {"type": "tool_call", "id": "call_1", "name": "look", "arguments": {"place": "barn"}}
ANTHROPIC = [
    {"role": "user", "content": "Look."},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "A barn?", "signature": "s"},
            {"type": "redacted_thinking", "data": "xyz"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "call_1", "name": "look", "input": {"place": "barn"}},
            {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "barn"}},
            {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"title": "Barns"}]},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "seven"},
            {"type": "tool_result", "tool_use_id": "call_2", "content": [{"type": "text", "text": "none"}]},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": Placeholder("image/png", "media")},
            },
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "A page."}},
        ],
    },
]


def test_anthropic_messages():
    assert asked(messages=ANTHROPIC) == [
        ("user", [text("Look.")]),
        (
            "assistant",
            [
                {"type": "reasoning", "content": "A barn?"},
                {"type": "redacted_thinking"},
                text("I look."),
                LOOK,
                {
                    "type": "server_tool_call",
                    "id": "srv_1",
                    "name": "web_search",
                    "server_tool_call": {"type": "web_search", "input": {"query": "barn"}},
                },
                {
                    "type": "server_tool_call_response",
                    "id": "srv_1",
                    "server_tool_call_response": {"type": "web_search_tool_result", "content": [{"title": "Barns"}]},
                },
            ],
        ),
        (
            "user",
            [
                {"type": "tool_call_response", "id": "call_1", "response": "seven"},
                {"type": "tool_call_response", "id": "call_2", "response": [text("none")]},
                {"type": "blob", "modality": "image", "mime_type": "image/png", "content": ""},
                {"type": "uri", "modality": "image", "uri": "https://example.org/a.png"},
                {"type": "file", "modality": "document", "file_id": "file_1"},
                text("A page."),
            ],
        ),
    ]


def test_responses_items():
    items = [
        {"role": "developer", "content": [{"type": "input_text", "text": "Count."}]},
        {"type": "message", "role": "user", "content": "How many?"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "A barn?"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": '{"place": "barn"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "seven"},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "run", "input": "print(1)"},
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "barn"}},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "7"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"type": "item_reference", "id": "msg_1"},
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://example.org/a.png"}]},
        {"role": "user", "content": [{"type": "input_image", "image_url": Placeholder("image/png", "media")}]},
        {"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]},
    ]
    assert asked(input=items) == [
        ("developer", [text("Count.")]),
        ("user", [text("How many?")]),
        ("assistant", [{"type": "reasoning", "content": "A barn?"}]),
        ("assistant", [LOOK]),
        ("tool", [{"type": "tool_call_response", "id": "call_1", "response": "seven"}]),
        ("assistant", [{"type": "tool_call", "id": "call_2", "name": "run", "arguments": "print(1)"}]),
        (
            "assistant",
            [
                {
                    "type": "server_tool_call",
                    "id": "ws_1",
                    "name": "web_search",
                    "server_tool_call": {"type": "web_search", "input": {"type": "search", "query": "barn"}},
                }
            ],
        ),
        ("assistant", [text("7")]),
        ("assistant", [{"type": "refusal", "content": "No."}]),
        ("assistant", [{"type": "item_reference"}]),
        ("user", [{"type": "uri", "modality": "image", "uri": "https://example.org/a.png"}]),
        ("user", [{"type": "blob", "modality": "image", "mime_type": "image/png", "content": ""}]),
        ("user", [{"type": "file", "modality": "document", "file_id": "file_1"}]),
    ]


def test_chat_messages():
    image = {"type": "image_url", "image_url": {"url": Placeholder("image/png", "media")}}
    sound = {"type": "input_audio", "input_audio": {"data": Placeholder("wav", "media"), "format": "wav"}}
    called = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"place": "barn"}'}}
    assert asked(
        messages=[
            {"role": "system", "content": "Count."},
            {"role": "user", "name": "ada", "content": [{"type": "text", "text": "See:"}, image, sound]},
            {"role": "assistant", "content": None, "tool_calls": [called]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "seven"}]},
            {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "no json"}},
            {"role": "function", "name": "look", "content": "seven"},
        ]
    ) == [
        ("system", [text("Count.")]),
        (
            "user",
            [
                text("See:"),
                {"type": "blob", "modality": "image", "mime_type": "image/png", "content": ""},
                {"type": "blob", "modality": "audio", "mime_type": None, "content": ""},
            ],
        ),
        ("assistant", [LOOK]),
        ("tool", [{"type": "tool_call_response", "id": "call_1", "response": [text("seven")]}]),
        ("assistant", [{"type": "tool_call", "id": None, "name": "look", "arguments": "no json"}]),
        ("tool", [{"type": "tool_call_response", "id": "look", "response": "seven"}]),
    ]
    assert messages.asked({"messages": [{"role": "user", "name": "ada", "content": "x"}]})[0]["name"] == "ada"


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("Once", [("user", [text("Once")])]),
        (["Once", "Twice"], [("user", [text("Once")]), ("user", [text("Twice")])]),
        ([1, 2, 3], [("user", [{"type": "tokens"}])]),
        ({"id": "pmpt_1"}, []),
    ],
)
def test_legacy_prompts(prompt, found):
    assert asked(prompt=prompt) == found


def test_system_instructions_are_parts():
    assert check_parts(messages.instructed({"system": "Count."})) == [text("Count.")]
    blocks = [
        {"type": "text", "text": "Count.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "All."},
    ]
    assert check_parts(messages.instructed({"system": blocks})) == [text("Count."), text("All.")]
    assert messages.instructed({"messages": []}) == []


def test_definitions_of_tools_have_one_form():
    schema = {"type": "object", "properties": {}}
    wanted = {"type": "function", "name": "look", "description": "Looks.", "parameters": schema}
    named = {"name": "look", "description": "Looks."}
    for tools in (
        {"tools": [{"type": "function", "function": {**named, "parameters": schema}}]},
        {"tools": [{"type": "function", **named, "parameters": schema, "strict": True}]},
        {"tools": [{**named, "input_schema": schema}]},
        {"functions": [{**named, "parameters": schema}]},
    ):
        assert messages.offered(tools) == [wanted]
    assert messages.offered({"tools": [{"type": "web_search_2025", "name": "web_search", "max_uses": 2}]}) == [
        {"type": "web_search_2025", "name": "web_search", "description": ""}
    ]
    assert messages.offered({"tools": [{"type": "file_search"}]}) == [{"type": "file_search", "name": "file_search"}]


@pytest.mark.parametrize(
    ("reason", "said"), [("tool_calls", "tool_call"), ("end_turn", "stop"), ("max_tokens", "length"), ("odd", "odd")]
)
def test_answers(reason, said):
    output = {"content": "7", "thinking": "A barn?", "refusal": "No.", "tool_calls": [{**LOOK, "type": "function"}]}
    (answer,) = messages.answered(output, [reason], is_failed=False)
    assert answer["finish_reason"] == said
    assert check_parts(answer["parts"]) == [
        {"type": "reasoning", "content": "A barn?"},
        text("7"),
        {"type": "refusal", "content": "No."},
        LOOK,
    ]


def test_an_answer_that_no_reason_ended_says_so():
    two = [{"content": "7"}, {"content": "8"}]
    assert [a["finish_reason"] for a in messages.answered(two, ["stop"], is_failed=False)] == ["stop", "unknown"]
    assert [a["finish_reason"] for a in messages.answered(two[:1], None, is_failed=True)] == ["error"]
    assert messages.answered(None, None, is_failed=True) == []


@pytest.mark.parametrize("odd", [None, 7, "x", [], [None], [7], {}, {"type": 7}, [{"type": "tool_use"}], [[{}]]])
@pytest.mark.parametrize("where", ["messages", "input", "prompt", "system", "tools", "content", "tool_calls", "source"])
def test_odd_contents_never_crash(where, odd):
    message = {"role": "user", "content": [{"type": "image", where: odd}], where: odd}
    inputs = {"messages": [message], where: odd}
    said = SpanRecord("a" * 16, "b" * 32, None, "a:chat", "llm", 1, 2, 3, 4, inputs, {where: odd})
    for value in content.of_record(said).values():
        json.loads(value)


# From the clients to the span


@pytest.fixture
def exported(monkeypatch):
    monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, "SPAN_ONLY")
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    server = Loopback()

    def of(library, ask, *answers):
        server.script(*answers)
        instrument(library, tracer_provider=provider)
        with record():
            ask(server)
        return next(span.attributes for span in exporter.get_finished_spans() if keys.INPUT_MESSAGES in span.attributes)

    yield of
    uninstrument()
    server.close()


def said(attributes):
    names = (keys.SYSTEM_INSTRUCTIONS, keys.INPUT_MESSAGES, keys.OUTPUT_MESSAGES, keys.TOOL_DEFINITIONS)
    return [json.loads(attributes[name]) if name in attributes else None for name in names]


def test_a_call_of_anthropic(exported):
    anthropic = pytest.importorskip("anthropic")
    thinking = {"type": "thinking", "thinking": "A barn?", "signature": "s"}
    body = anthropic_bodies.message("I look.", "tool_use", [thinking, anthropic_bodies.CALL])

    def ask(server):
        url = server.base_url.removesuffix("/v1")
        with anthropic.Anthropic(api_key="k", base_url=url, max_retries=0) as client:
            tools = [{"name": "look", "input_schema": {"type": "object"}}]
            asks = [{"role": "user", "content": "Look."}]
            client.messages.create(model="sim", max_tokens=9, system="Count.", messages=asks, tools=tools)

    system, given, (answer,), tools = said(exported("anthropic", ask, as_json(body)))
    assert system == [text("Count.")]
    assert given == [{"role": "user", "parts": [text("Look.")]}]
    assert answer["finish_reason"] == "tool_call"
    assert check_parts(answer["parts"]) == [
        {"type": "reasoning", "content": "A barn?"},
        text("I look."),
        {"type": "tool_call", "id": "toolu_1", "name": "look", "arguments": {"place": "barn"}},
    ]
    assert tools == [{"type": "function", "name": "look", "description": "", "parameters": {"type": "object"}}]


def test_a_response_with_calls(exported):
    openai = pytest.importorskip("openai")
    body = bodies.response("I look.", calls=[bodies.FUNCTION_CALL])

    def ask(server):
        with openai.OpenAI(api_key="k", base_url=server.base_url, max_retries=0) as client:
            client.responses.create(model="sim", instructions="Count.", input="Look.")

    system, given, (answer,), _ = said(exported("openai", ask, as_json(body)))
    assert system == [text("Count.")]
    assert given == [{"role": "user", "parts": [text("Look.")]}]
    assert answer == {"role": "assistant", "parts": [text("I look."), LOOK], "finish_reason": "tool_call"}


def test_a_cut_stream_says_that_no_reason_ended_it(exported):
    openai = pytest.importorskip("openai")

    def ask(server):
        with openai.OpenAI(api_key="k", base_url=server.base_url, max_retries=0) as client:
            asks = [{"role": "user", "content": "Look."}]
            for _ in client.chat.completions.create(model="sim", messages=asks, stream=True):
                pass

    _, _, (answer,), _ = said(exported("openai", ask, events(bodies.chat_chunks(finish_reason=None), done=False)))
    assert answer == {"role": "assistant", "parts": [text("There are seven.")], "finish_reason": "error"}


def test_texts_that_were_cut_keep_their_beginning():
    cut = Cut("str", "Once upon", 99, "digest")
    block = {"type": "text", "text": cut}
    assert asked(messages=[{"role": "user", "content": cut}, {"role": "user", "content": [block]}]) == [
        ("user", [text("Once upon")]),
        ("user", [text("Once upon")]),
    ]
    (answer,) = messages.answered({"content": cut}, ["stop"], is_failed=False)
    assert answer["parts"] == [text("Once upon")]
    assert messages.instructed({"system": cut}) == [text("Once upon")]
