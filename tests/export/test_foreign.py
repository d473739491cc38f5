"""Spans of other instrumentations alone, by their documented attributes; and beside ours, one node a call."""

import json

import pytest

from tracediff import attributes as keys
from tracediff.capture.content import record_attributes
from tracediff.capture.records import SpanRecord
from tracediff.errors import DataError
from tracediff.graph import ParameterGraph

FIRST = "There are seven animals in the barn: four cats and three dogs."
ASKED = f"Is this true? {FIRST} Say yes or no, with reasons."
SECOND = "Yes, because all of them have been counted twice by two farmers."


def convention(asked, answered):
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": asked}]}]),
        "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "parts": [{"type": "text", "content": answered}], "finish_reason": "stop"}]
        ),
    }


def older(asked, answered):
    return {
        "gen_ai.system": "openai",
        "llm.request.type": "chat",
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": asked,
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": answered,
        "gen_ai.usage.prompt_tokens": 7,
    }


def open_inference(asked, answered):
    return {
        "openinference.span.kind": "LLM",
        "llm.system": "openai",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "text",
        "llm.input_messages.0.message.contents.0.message_content.text": asked,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": answered,
    }


def logfire(asked, answered):
    return {
        "request_data": json.dumps({"messages": [{"role": "user", "content": asked}], "model": "m"}),
        "response_data": json.dumps({"message": {"role": "assistant", "content": answered}, "usage": None}),
    }


def span(identity, start, end, attributes, parent="", trace="a" * 32, name="chat m", scope="other"):
    def value(said):
        return {"intValue": str(said)} if isinstance(said, int) else {"stringValue": said}

    found = {
        "traceId": trace,
        "spanId": f"{identity:016x}",
        "parentSpanId": parent and f"{parent:016x}",
        "name": name,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": [{"key": key, "value": value(said)} for key, said in attributes.items()],
    }
    return {"scopeSpans": [{"scope": {"name": scope}, "spans": [found]}]}


def document(*found):
    return {"resourceSpans": list(found)}


def edges(graph):
    return [(edge.source.id[-1], edge.target.id[-1], edge.argument) for edge in graph.edges]


@pytest.mark.parametrize("write", [convention, older, open_inference, logfire])
def test_two_calls_of_another_instrumentation_are_a_graph(write):
    calls = [
        span(2, 300, 400, write(ASKED, SECOND), parent=9),
        span(9, 50, 500, {"http.route": "/"}, name="GET /"),
        span(1, 100, 200, write("How many animals are there?", FIRST), parent=9),
    ]
    for order in (calls, calls[::-1]):
        graph = ParameterGraph.from_otlp(document(*order))
        assert [node.id[-1] for node in graph.nodes] == ["1", "2"]
        assert edges(graph) == [("1", "2", "messages")]
        assert graph.output.id[-1] == "2"
        assert {node.kind for node in graph.nodes} == {"llm"}
        assert any("another instrumentation" in note for note in graph.notes)


def test_two_instrumentations_that_saw_the_same_call_are_one_node():
    found = document(
        span(1, 100, 200, open_inference("How many?", FIRST)),
        span(3, 110, 190, convention("How many?", FIRST), parent=1),
        span(5, 120, 180, {"gen_ai.operation.name": "chat"}, parent=3),  # no content
        span(4, 290, 410, {"gen_ai.operation.name": "chat"}),
        span(2, 300, 400, older(ASKED, SECOND), parent=4),
    )
    assert edges(ParameterGraph.from_otlp(found)) == [("1", "2", "messages")]


def test_a_streamed_call_of_logfire_is_one_node():
    whole = logfire("How many animals?", FIRST)
    asked = {key: whole[key] for key in whole if key == "request_data"} | {"gen_ai.operation.name": "chat"}
    found = document(
        span(1, 100, 110, asked, parent=9),
        span(7, 250, 250, whole, parent=9),  # written when the stream was read
        span(2, 300, 400, logfire(ASKED, SECOND), parent=9),
    )
    graph = ParameterGraph.from_otlp(found)
    assert [node.id[-1] for node in graph.nodes] == ["1", "2"]
    assert edges(graph) == [("1", "2", "messages")]


def test_steps_and_tools_of_theirs_are_nodes():
    looked = "a long list of the animals that the farmer has seen"
    found = document(
        span(1, 0, 900, {"openinference.span.kind": "CHAIN", "input.value": '{"question": "How many?"}', "output.value": SECOND}, name="answer"),
        span(2, 100, 200, {"openinference.span.kind": "TOOL", "tool.name": "look", "input.value": '{"place": "barn"}', "output.value": looked}, parent=1),
        span(3, 300, 400, open_inference(f"Read this: {looked} and answer.", SECOND), parent=1),
    )  # fmt: skip
    graph = ParameterGraph.from_otlp(found)
    assert [(node.name, node.kind, node.is_container) for node in graph.nodes] == [
        ("answer", "function", True),
        ("look", "tool", False),
        ("openai.chat", "llm", False),
    ]
    assert edges(graph) == [("2", "3", "messages")]


def test_tool_calls_keep_their_ids():
    call = {"type": "tool_call", "id": "call_1", "name": "look", "arguments": {"place": "barn"}}
    asks = {
        **convention("How many?", ""),
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [call]}]),
    }
    answer = {"type": "tool_call_response", "id": "call_1", "response": "nothing"}
    gets = {**convention("", SECOND), "gen_ai.input.messages": json.dumps([{"role": "tool", "parts": [answer]}])}
    graph = ParameterGraph.from_otlp(document(span(1, 100, 200, asks), span(2, 300, 400, gets)))
    assert [(edge.source.id[-1], edge.target.id[-1], edge.evidence) for edge in graph.edges] == [("1", "2", "id")]


def ours(identity, start, end, name, kind, inputs, output, parent="", sequence=(1, 2), **more):
    parent_id = f"{parent:016x}" if parent else None
    record = SpanRecord(f"{identity:016x}", "f" * 32, parent_id, name, kind, *sequence, start, end, inputs, output)
    attributes = {keys.KIND: kind, keys.SITE: name, keys.RUN_ID: record.run_id, **record_attributes(record), **more}
    return span(identity, start, end, attributes, parent=parent, name=name, scope="tracediff")


def test_beside_ours_theirs_are_not_counted_again():
    asked = {"messages": [{"role": "user", "content": "How many?"}]}
    for inner, outer in ((1, 3), (3, 1)):
        lies = {outer: "", inner: outer}
        found = document(
            ours(1, 100 + (inner == 1), 200, "app.ask:chat", "llm", asked, {"content": FIRST}, parent=lies[1]),
            span(3, 100 + (inner == 3), 200, open_inference("How many?", FIRST), parent=lies[3]),
        )
        graph = ParameterGraph.from_otlp(found)
        assert [node.name for node in graph.nodes] == ["app.ask:chat"]


ASKED_HOW = {"messages": [{"role": "user", "content": "How many?"}]}
BESIDE = {
    "the response's id": (True, {**convention("How many?", ""), keys.RESPONSE_ID: "r1"}, {keys.RESPONSE_ID: "r1"}),
    "the text": (True, open_inference("How many?", FIRST), {keys.RESPONSE_ID: "r1"}),
    "another id": (False, {**convention("How many?", FIRST), keys.RESPONSE_ID: "r2"}, {keys.RESPONSE_ID: "r1"}),
    "another text": (False, open_inference("How many?", SECOND), {}),
    "another time": (False, open_inference("How many?", FIRST), {}),
}


@pytest.mark.parametrize("by", BESIDE)
def test_a_span_of_theirs_that_is_never_the_current_one_is_known_by(by):
    """It lies beside ours, not around it."""
    is_same, said, more = BESIDE[by]
    start, end = (300, 400) if by == "another time" else (90, 210)
    found = document(
        ours(9, 50, 800, "app.program", "function", {}, "done", sequence=(1, 6)),
        ours(1, 100, 200, "app.ask:chat", "llm", ASKED_HOW, {"content": FIRST}, parent=9, sequence=(2, 3), **more),
        span(3, start, end, said, parent=9),
    )
    names = [node.name for node in ParameterGraph.from_otlp(found).nodes if node.kind == "llm"]
    assert len(names) == (1 if is_same else 2)
    assert "app.ask:chat" in names


@pytest.mark.parametrize(("start", "end", "calls"), [(90, 210, 1), (150, 250, 2)])
def test_beside_ours_without_content_a_span_around_its_time_is_the_same_call(start, end, calls):
    bare = {keys.KIND: "llm", keys.SITE: "app.ask:chat", keys.RUN_ID: "f" * 32, keys.SEQUENCE: "2 3"}
    found = document(
        ours(9, 50, 800, "app.program", "function", {}, "done", sequence=(1, 6)),
        span(1, 100, 200, bare, parent=9, scope="tracediff"),
        span(3, start, end, open_inference("How many?", FIRST), parent=9),
    )
    assert len([node for node in ParameterGraph.from_otlp(found).nodes if node.kind == "llm"]) == calls


def test_two_tools_that_lie_beside_each_other_saw_one_call():
    found = document(
        span(1, 100, 200, open_inference("How many?", FIRST), parent=9),
        span(3, 110, 190, convention("How many?", FIRST), parent=9, scope="third"),
        span(2, 300, 400, older(ASKED, SECOND), parent=9),
    )
    assert edges(ParameterGraph.from_otlp(found)) == [("1", "2", "messages")]


def test_a_call_that_only_theirs_saw_joins_our_run():
    """A client that tracediff does not patch, between two decorated functions."""
    found = document(
        ours(1, 100, 200, "app.retrieve", "retriever", {}, [FIRST], sequence=(2, 3), parent=8),
        ours(4, 600, 700, "app.tidy", "function", {"text": SECOND.upper()}, "done", sequence=(4, 5), parent=8),
        ours(8, 50, 800, "app.program", "function", {}, "done", sequence=(1, 6)),
        span(2, 300, 400, older(ASKED, SECOND), parent=8),
    )
    graph = ParameterGraph.from_otlp(found)
    assert edges(graph)[:2] == [("1", "2", "messages"), ("2", "4", "text")]
    (model,) = [node for node in graph.nodes if node.kind == "llm"]
    assert model.name == "app.program:chat"
    assert any("1 calls are known from spans of another" in note for note in graph.notes)


def test_traces_of_theirs_are_runs_by_trace_id():
    calls = [span(number, 1, 2, convention(f"Question {number}?", FIRST), trace=f"{number:032x}") for number in (1, 2)]
    with pytest.raises(DataError, match="2 runs"):
        ParameterGraph.from_otlp(document(*calls))
    graph = ParameterGraph.from_otlp(document(*calls), run_id=f"{2:032x}")
    assert [node.id[-1] for node in graph.nodes] == ["2"]


def test_their_spans_without_content_say_so():
    with pytest.raises(DataError, match="messages of a model call"):
        ParameterGraph.from_otlp(document(span(1, 1, 2, {"gen_ai.operation.name": "chat"})))


@pytest.mark.parametrize("write", [convention, older, open_inference, logfire])
@pytest.mark.parametrize(
    "odd", ["", "{", "[]", "[7]", '{"messages": 7}', '[{"role": null, "parts": [7, {"type": "tool_call"}]}]']
)
def test_odd_contents_never_crash(write, odd):
    whole = write(ASKED, SECOND)
    for key in whole:
        try:
            ParameterGraph.from_otlp(document(span(1, 1, 2, {**whole, key: odd, f"{key}.x.0": odd}))).to_json()
        except DataError:
            pass
