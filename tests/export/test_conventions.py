"""Metrics, suppression, sampling, redaction and limits of what leaves."""

import json

import pytest
from opentelemetry.context import attach, detach, set_value
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.metrics import _internal as metrics_state
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import get_tracer_provider

from tests.graph.otlp_json import document
from tracediff import attributes as keys
from tracediff.capture import begin, functional_node, instrument, redaction, spans, suppressed, uninstrument
from tracediff.capture.instrumentor import TracediffInstrumentor
from tracediff.errors import UsageError
from tracediff.graph import ParameterGraph
from tracediff.graph.runs import record, score

REQUEST = {
    keys.OPERATION_NAME: "chat",
    keys.PROVIDER_NAME: "openai",
    keys.REQUEST_MODEL: "sim",
    keys.SERVER_ADDRESS: "localhost",
    keys.SERVER_PORT: 443,
}
ANSWER = {keys.RESPONSE_MODEL: "sim-2", keys.USAGE_INPUT_TOKENS: 12, keys.USAGE_OUTPUT_TOKENS: 7}


def call_model(asked="How many?", answered="seven", error=None):
    call = begin("app.ask:chat", "llm", {"messages": [{"role": "user", "content": asked}]}, attributes=REQUEST)
    if call is not None:
        call.end({"content": answered}, error=error, attributes=ANSWER)
    return call


@pytest.fixture
def exported():
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument("openai", tracer_provider=provider)
    yield exporter.get_finished_spans
    uninstrument()


@pytest.fixture
def metered():
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)

    def points():
        data = reader.get_metrics_data()
        found = (
            [
                metric
                for resource in data.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            ]
            if data
            else []
        )
        return {metric.name: (metric.unit, list(metric.data.data_points)) for metric in found}

    instrument("openai", meter_provider=provider)
    yield points
    uninstrument()
    provider.shutdown()


def test_duration_and_tokens_are_measured_with_nothing_else_on(metered):
    before = get_tracer_provider(), metrics_state._METER_PROVIDER
    assert call_model() is not None
    call_model(error=ValueError("no"))
    found = metered()
    unit, points = found["gen_ai.client.operation.duration"]
    assert unit == "s"
    assert sorted((point.attributes.get("error.type", ""), point.count) for point in points) == [
        ("", 1),
        ("ValueError", 1),
    ]
    assert points[0].attributes["gen_ai.request.model"] == "sim"
    assert points[0].attributes["server.port"] == 443
    unit, points = found["gen_ai.client.token.usage"]
    assert unit == "{token}"
    sums = {(point.attributes["gen_ai.token.type"], point.attributes.get("error.type")): point.sum for point in points}
    assert sums[("input", None)] == 12
    assert sums[("output", None)] == 7
    assert (get_tracer_provider(), metrics_state._METER_PROVIDER) == before


def test_a_decorated_function_is_not_measured(metered):
    @functional_node(kind="llm")
    def model(text):
        call_model(text)
        return text

    with record():
        model("x")
    assert [point.count for point in metered()["gen_ai.client.operation.duration"][1]] == [1]


def test_without_providers_a_call_is_a_plain_call():
    assert call_model() is None


def test_suppressed_calls_are_neither_exported_nor_measured(exported, metered):
    with suppress_instrumentation():
        assert call_model() is None
        with record() as run:
            call_model()
    token = attach(set_value("suppress_instrumentation", True))
    assert call_model() is None
    detach(token)
    with suppressed():
        assert call_model() is None
    assert exported() == ()
    assert len(run.records) == 1  # the user asked for it


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(ALWAYS_OFF), TraceIdRatioBased(0.0)])
def test_sampling_is_the_export_s_affair(sampler):
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.use_provider(provider)
    try:
        with record() as run:
            call_model()
        run.set_output("late")
        score(run, 1.0)
    finally:
        spans.use_provider(None)
    assert exporter.get_finished_spans() == ()
    assert len(run.records) == 1


# Content


@pytest.fixture
def with_content(monkeypatch):
    monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, "SPAN_ONLY")


LONG = "a long text about a xylophone that was found in a barn, and what came of it"


def program():
    with record(sample_id="of xylophone") as run:
        call_model(f"Read: {LONG}", LONG)
        call_model(f"Again: {LONG}", "done with the xylophone", ValueError("no xylophone"))
        call = begin("app.keyed", "function", {"table": {"xylophone": LONG}})
        call.end([{"xylophone": LONG}])
        run.set_output({"xylophone": LONG})
    score(run, 0.5, "a xylophone too many")
    return run


def test_a_redaction_hook_sees_every_text_that_leaves(exported, with_content):
    instrument("openai", redact=lambda text: text.replace("xylophone", "[instrument]"))
    run = program()
    found = document(exported())
    assert "xylophone" not in json.dumps(found)
    assert "[instrument]" in json.dumps(found)
    assert any("xylophone" in str(made.inputs) for made in run.records)  # a recording is whole
    live, graph = run.graph(), ParameterGraph.from_otlp(found)
    assert [(e.source.id, e.target.id, e.argument) for e in graph.edges] == [
        (e.source.id, e.target.id, e.argument) for e in live.edges
    ]
    assert graph.edges
    assert "[instrument]" in str(graph.nodes[0].inputs)
    assert any("redacted" in note for note in graph.notes)


def test_a_hook_that_fails_lets_nothing_out(exported, with_content):
    instrument("openai", redact=lambda text: text.no_such_method())
    program()
    assert "xylophone" not in json.dumps(document(exported()))
    instrument("openai", redact=lambda text: None)
    program()
    assert "xylophone" not in json.dumps(document(exported()))


def test_long_texts_are_cut_before_they_leave(exported, with_content):
    instrument("openai", max_content_chars=12)
    run = program()
    found = document(exported())
    assert LONG[:12] in json.dumps(found)
    assert LONG[:13] not in json.dumps(found)
    graph = ParameterGraph.from_otlp(found)
    assert len(graph.edges) == len(run.graph().edges)
    with pytest.raises(UsageError, match="at least 1"):
        instrument("openai", max_content_chars=0)


def test_uninstrument_ends_redaction(exported, with_content):
    instrument("openai", redact=lambda text: "gone")
    uninstrument()
    assert redaction.text("here") == "here"


def test_the_instrumentor_is_instrument(exported):
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = TracediffInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        call_model()
    finally:
        instrumentor.uninstrument()
    assert [span.name for span in exporter.get_finished_spans()] == ["chat sim"]
    assert call_model() is None
