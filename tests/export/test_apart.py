"""A provider of tracediff's own beside the program's global one: each one's spans are below spans of its own only."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.graph.otlp_json import document
from tracediff.capture import begin, functional_node, instrument, uninstrument
from tracediff.graph import ParameterGraph
from tracediff.graph.runs import record


def provider():
    exporter = InMemorySpanExporter()
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made, exporter


@pytest.fixture
def both(monkeypatch):
    """Exporters of the global provider and of ours."""
    known, theirs = provider()
    chosen, ours = provider()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", known)
    instrument("openai", tracer_provider=chosen)
    yield theirs, ours
    uninstrument()


@functional_node(name="apart.inner")
def inner(text):
    with trace.get_tracer("theirs").start_as_current_span("their inner"):
        call = begin("apart.inner:chat", "llm", {"messages": [{"role": "user", "content": text}]})
        call.end({"content": text.upper()})
    return text.upper()


@functional_node(name="apart.outer")
def outer(text):
    with trace.get_tracer("theirs").start_as_current_span("their outer"):
        return inner(text)


def parents(exporter):
    spans = exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    return {span.name: names.get(span.parent.span_id, "?") if span.parent else None for span in spans}


def test_neither_is_below_the_other(both):
    theirs, ours = both
    with record() as run:
        assert not trace.get_current_span().get_span_context().is_valid
        assert outer("seven") == "SEVEN"
    assert parents(theirs) == {"their inner": "their outer", "their outer": None}
    assert parents(ours) == {
        "chat apart.inner:chat": "apart.inner",
        "apart.inner": "apart.outer",
        "apart.outer": "invoke_workflow",
        "invoke_workflow": None,
    }
    assert len({span.context.trace_id for span in ours.get_finished_spans()}) == 1
    graph = ParameterGraph.from_otlp(document(ours.get_finished_spans()))
    assert [node.name for node in graph.nodes] == [node.name for node in run.graph().nodes]


def test_a_global_one_around_ours_is_no_other(both, monkeypatch):
    class Around:
        """As Logfire's."""

        def __init__(self, provider):
            self.provider = provider
            self.get_tracer = provider.get_tracer

    _, ours = both
    chosen, exporter = provider()
    uninstrument()
    instrument("openai", tracer_provider=chosen)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", Around(chosen))
    assert outer("seven") == "SEVEN"
    assert parents(exporter)["their inner"] == "apart.inner"
    assert not ours.get_finished_spans()


def test_without_a_global_one_spans_of_the_same_provider_are_below_ours(both, monkeypatch):
    _, ours = both
    chosen = trace._TRACER_PROVIDER
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    with record():
        assert trace.get_current_span().get_span_context().is_valid
        assert outer("seven") == "SEVEN"
    assert parents(ours)["apart.inner"] == "apart.outer"
    assert chosen is not None
