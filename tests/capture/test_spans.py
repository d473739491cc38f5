"""The export: real spans on the user's provider, by the GenAI conventions, and records rebuilt from them."""

import gc
import json
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from tracediff import attributes as keys
from tracediff.capture import content, runspan, spans
from tracediff.capture.context import Scope, current_context, current_scope, enter_context, with_scope, with_span
from tracediff.capture.faults import faults
from tracediff.capture.recorder import begin
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.values import Cut, Obj, Placeholder
from tracediff.graph.runs import record
from tracediff.parameters import Parameter
from tracediff.scores import Score


@pytest.fixture
def exported():
    """Finished spans of calls and scores; the runs' own are the affair of tests/graph/test_otlp.py."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.use_provider(provider)
    yield lambda: tuple(span for span in exporter.get_finished_spans() if not span.name.startswith("invoke_workflow"))
    spans.use_provider(None)


@pytest.fixture
def with_content(monkeypatch):
    monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, "SPAN_AND_EVENT")


MODEL_CALL = {
    keys.OPERATION_NAME: "chat",
    keys.PROVIDER_NAME: "openai",
    keys.REQUEST_MODEL: "sim",
    keys.REQUEST_STOP_SEQUENCES: ["a", "b"],
    keys.REQUEST_SETTINGS: {"tool_choice": "secret setting"},
}


def call_model(error=None):
    messages = [{"role": "system", "content": "planted canary"}, {"role": "user", "content": "How many?"}]
    call = begin("app.answer:chat", "llm", {"messages": messages}, attributes=MODEL_CALL)
    answered = {keys.RESPONSE_FINISH_REASONS: ["stop"], keys.USAGE_INPUT_TOKENS: 12}
    call.end({"content": "seven canaries"}, error=error, attributes=answered)


def test_a_model_call_is_a_client_span_by_the_conventions(exported):
    with record() as run:
        call_model()
    (span,) = exported()
    (made,) = run.records
    assert span.name == "chat sim"
    assert span.kind is SpanKind.CLIENT
    assert f"{span.context.span_id:016x}" == made.id
    assert (span.start_time, span.end_time) == (made.start_ns, made.end_ns)
    assert span.attributes[keys.OPERATION_NAME] == "chat"
    assert span.attributes[keys.PROVIDER_NAME] == "openai"
    assert span.attributes[keys.REQUEST_STOP_SEQUENCES] == ("a", "b")
    assert span.attributes[keys.RESPONSE_FINISH_REASONS] == ("stop",)
    assert span.attributes[keys.USAGE_INPUT_TOKENS] == 12
    assert span.attributes[keys.SITE] == "app.answer:chat"
    assert span.attributes[keys.RUN_ID] == made.run_id


@pytest.mark.parametrize("setting", [None, "NO_CONTENT", "EVENT_ONLY"])
def test_no_content_leaves_unless_it_is_asked_for(exported, monkeypatch, setting):
    if setting is None:
        monkeypatch.delenv(keys.CAPTURE_CONTENT_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, setting)
    parameter = Parameter("app.task", "planted canary {x}", ("x",))
    with record() as run:
        call_model(ValueError("planted canary"))
        begin("app.task", "prompt", {"x": "canary"}, parameter=parameter).end("planted canary canary")
    runspan.evaluated(run.recording, "score", Score(0.5, "planted canary"))
    assert len(exported()) == 3
    for span in exported():
        assert "canar" not in span.to_json()
        assert "secret" not in span.to_json()


def test_with_content_messages_are_json_strings(exported, with_content):
    with record():
        call_model()
    (span,) = exported()
    assert json.loads(span.attributes[keys.INPUT_MESSAGES]) == [
        {"role": "system", "parts": [{"type": "text", "content": "planted canary"}]},
        {"role": "user", "parts": [{"type": "text", "content": "How many?"}]},
    ]
    assert json.loads(span.attributes[keys.OUTPUT_MESSAGES]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "seven canaries"}], "finish_reason": "stop"}
    ]


def test_tool_calls_and_their_results_are_parts(exported, with_content):
    asked = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "call_1", "content": "a barn"},
        {"role": "user", "content": [{"type": "text", "text": "and?"}, {"type": "image_url", "image_url": {}}]},
    ]
    with record():
        call = begin(
            "app.answer:chat", "llm", {"messages": messages, "tools": [{"name": "look"}]}, attributes=MODEL_CALL
        )
        call.end({"tool_calls": [{"id": "call_2", "name": "look", "arguments": "{}"}]})
    (span,) = exported()
    part = {"type": "tool_call", "name": "look", "arguments": {}}
    assert json.loads(span.attributes[keys.INPUT_MESSAGES]) == [
        {"role": "assistant", "parts": [{**part, "id": "call_1"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "a barn"}]},
        {"role": "user", "parts": [{"type": "text", "content": "and?"}, {"type": "image_url"}]},
    ]
    assert json.loads(span.attributes[keys.OUTPUT_MESSAGES]) == [
        {"role": "assistant", "parts": [{**part, "id": "call_2"}], "finish_reason": "unknown"}
    ]
    assert json.loads(span.attributes[keys.TOOL_DEFINITIONS]) == [
        {"type": "function", "name": "look", "description": ""}
    ]


def test_a_response_keeps_instructions_apart(exported, with_content):
    with record():
        begin("a:responses", "llm", {"instructions": "Count.", "input": "How many?"}, attributes=MODEL_CALL).end(
            {"content": "7"}
        )
    (span,) = exported()
    assert json.loads(span.attributes[keys.SYSTEM_INSTRUCTIONS]) == [{"type": "text", "content": "Count."}]
    assert json.loads(span.attributes[keys.INPUT_MESSAGES]) == [
        {"role": "user", "parts": [{"type": "text", "content": "How many?"}]}
    ]


def test_functions_tools_and_prompts_are_internal_spans(exported):
    parameter = Parameter("app.task", "Count.")
    with record():
        begin("app.combine", "function", {}).end("x")
        begin("app.search", "tool", {}, description="Searches.").end("x")
        begin("app.retrieve", "retriever", {}).end("x")
        begin("app.task", "prompt", {}, parameter=parameter).end("Count.")
    function, tool, retriever, prompt = exported()
    assert {span.kind for span in exported()} == {SpanKind.INTERNAL}
    assert [span.name for span in exported()] == [
        "app.combine",
        "execute_tool app.search",
        "retrieval app.retrieve",
        "app.task",
    ]
    assert keys.KIND not in function.attributes  # an attribute costs a twentieth of a span
    assert keys.OPERATION_NAME not in function.attributes
    assert tool.attributes[keys.TOOL_NAME] == "app.search"
    assert prompt.attributes[keys.PROMPT_NAME] == "app.task"
    assert prompt.attributes[keys.PROMPT_VERSION] == parameter.text_hash


def test_calls_nest_and_the_program_s_own_spans_lie_inside(exported):
    with record() as run:
        outer = begin("app.outer", "function", {})
        with outer.active():
            begin("app.inner", "function", {}).end()
            within = trace.get_current_span().get_span_context().span_id
        outer.end()
    inner, outermost = exported()
    assert inner.parent.span_id == outermost.context.span_id == within
    assert outermost.parent is not None  # the run's own
    assert run.records[0].parent_id == run.records[1].id


def test_an_error_is_the_span_s_status(exported):
    with record():
        call_model(ValueError("no"))
    (span,) = exported()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes[keys.ERROR_TYPE] == "ValueError"


def test_a_reference_is_a_link_and_an_attribute(exported, with_content):
    with record() as run:
        text = "a text of some length"
        begin("app.first", "function", {}).end(text)
        begin("app.second", "function", {"docs": [text]}).end()
    first, second = exported()
    (link,) = second.links
    assert link.context.span_id == first.context.span_id
    assert json.loads(second.attributes[keys.REFS]) == [["docs[0]", run.records[0].id, "", 1]]


def test_records_are_rebuilt_from_spans(exported, with_content):
    with record() as run:
        call_model()
        begin("app.task", "prompt", {"x": "y" * 300}, parameter=Parameter("app.task", "{x}", ("x",))).end("y" * 300)
    assert tuple(content.record_from_attributes(span.attributes) for span in exported()) == run.records
    assert max(len(span.attributes) for span in exported()) <= 40


def test_a_prompt_with_many_arguments_stays_below_the_limit_and_whole(exported, with_content):
    inputs = {f"a{number}": "x" for number in range(100)}
    many = {f"gen_ai.request.x{number}": number for number in range(100)}
    with record() as run:
        begin("app.task", "prompt", inputs, parameter=Parameter("app.task", ""), attributes=many).end("x")
    (span,) = exported()
    assert len(span.attributes) <= 40
    assert content.record_from_attributes(span.attributes) == run.records[0]


def test_a_cut_attribute_gives_no_record():
    made = SpanRecord("0" * 16, "0" * 32, None, "a", "function", 1, 2, 3, 4, {"x": "y" * 100}, "z")
    whole = content.record_attributes(made)
    assert content.record_from_attributes(whole) == made
    for key in whole:
        assert content.record_from_attributes({**whole, key: whole[key][:-1]}) is None
        assert content.record_from_attributes({other: whole[other] for other in whole if other != key}) is None
    assert content.record_from_attributes({**whole, keys.RECORD: "[]"}) is None
    assert content.record_from_attributes({**whole, keys.REFS: "7"}) is None


texts = st.text(st.characters(codec=None), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars | st.builds(Placeholder, texts, texts),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts | st.integers(), inner, max_size=3)
        | st.builds(Obj, texts, st.dictionaries(texts, inner, max_size=3))
        | st.builds(Cut, texts, inner, st.integers(0, 9), texts)
    ),
    max_leaves=8,
)
records = st.builds(
    SpanRecord,
    id=st.just("0123456789abcdef"),
    run_id=st.just("0" * 32),
    parent_id=st.none() | st.just("fedcba9876543210"),
    name=texts,
    kind=texts,
    start=st.integers(0, 9),
    end=st.integers(0, 9),
    start_ns=st.integers(0, 2**62),
    end_ns=st.integers(0, 2**62),
    inputs=st.dictionaries(texts, values, max_size=3),
    output=values,
    refs=st.lists(st.builds(Ref, texts, texts, texts, st.integers(1, 9)), max_size=2).map(tuple),
    error=st.none() | texts,
    description=texts,
    parameter=st.none() | st.builds(Parameter, texts, texts, st.lists(texts, max_size=2).map(tuple)),
    attributes=st.dictionaries(texts, values, max_size=2),
)


@settings(max_examples=60, deadline=None)
@given(records)
def test_record_to_attributes_and_back_is_identity(made):
    again = content.record_from_attributes(content.record_attributes(made))
    assert again == made
    assert repr(again) == repr(made)  # 1 == True == 1.0


def test_a_score_is_an_evaluation_event_in_the_run_s_trace(exported, with_content):
    with record() as run:
        call_model()
    runspan.evaluated(run.recording, "length", Score(0.25, "too long"))
    called, judged = exported()
    (event,) = judged.events
    assert event.name == "gen_ai.evaluation.result"
    assert dict(event.attributes) == {
        keys.EVALUATION_NAME: "length",
        keys.EVALUATION_SCORE: 0.25,
        keys.EVALUATION_EXPLANATION: "too long",
    }
    assert judged.parent.span_id == called.parent.span_id
    assert judged.context.trace_id == called.context.trace_id


# What the export never does


def test_with_the_default_provider_nothing_is_made():
    assert not spans.is_on()
    assert begin("app.f", "function", {}) is None
    with record() as run:
        call_model()
    assert len(run.records) == 1


def test_without_a_recording_spans_are_exported_all_the_same(exported):
    call_model()
    assert [span.name for span in exported()] == ["chat sim"]


def test_an_unsampled_span_takes_nothing_from_the_recording():
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.use_provider(provider)
    try:
        with record() as run:
            call_model()
    finally:
        spans.use_provider(None)
    assert exporter.get_finished_spans() == ()
    assert len(run.records) == 1


class BrokenProcessor(SimpleSpanProcessor):
    """A processor of the user's that raises."""

    def __init__(self):
        super().__init__(InMemorySpanExporter())

    def on_start(self, span, parent_context=None):
        raise RuntimeError("collector")

    def on_end(self, span):
        raise RuntimeError("collector")


def test_a_failing_export_is_counted_and_not_felt():
    provider = TracerProvider()
    provider.add_span_processor(BrokenProcessor())
    spans.use_provider(provider)
    before = sum(faults.counts().values())
    try:
        with record() as run:
            call_model()
    finally:
        spans.use_provider(None)
    assert len(run.records) == 1
    assert sum(faults.counts().values()) > before


@pytest.mark.parametrize("around", ["nothing", "the program's span", "ours"])
def test_a_call_attaches_what_with_scope_and_with_span_make(exported, around):
    """``Call.attach`` does their work in one step."""
    outer = begin("test.outer", "function", {})
    call = begin("test.inner", "function", {})
    token = {
        "nothing": lambda: enter_context(Context()),
        "the program's span": lambda: enter_context(
            trace.set_span_in_context(TracerProvider().get_tracer("").start_span("x"))
        ),
        "ours": outer.attach,
    }[around]()
    before = current_context()
    scope = current_scope()
    expected = with_span(
        with_scope(before, Scope(scope and scope.candidate, call.recording, call.id, call.recording.is_trial)),
        call.span,
    )
    inner = call.attach()
    assert current_context() == expected
    assert type(current_scope()) is Scope
    call.detach(inner)
    assert current_context() is before
    outer.detach(token)
    call.end()
    outer.end()


def test_a_run_that_nobody_records_is_gone_with_its_last_call(exported):
    """In a service that only exports, runs must not wait for the garbage collector."""
    gc.disable()
    try:
        call = begin("test.alone", "function", {"x": "y"})
        inner = begin("test.below", "function", {})
        recording = weakref.ref(call.recording)
        inner.end("text")
        call.end("text")
        del call, inner
        assert recording() is None
    finally:
        gc.enable()
    assert [span.name for span in exported()] == ["test.below", "test.alone"]


def test_content_is_asked_for_at_each_run(exported, monkeypatch):
    for wanted in ("SPAN_ONLY", "NO_CONTENT", "span_and_event", None):
        if wanted is None:
            monkeypatch.delenv(keys.CAPTURE_CONTENT_VARIABLE)
        else:
            monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, wanted)
        with record():
            call_model()
    assert [keys.INPUT_MESSAGES in span.attributes for span in exported()] == [True, False, True, False]
