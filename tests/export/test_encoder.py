"""The tests' own OTLP JSON against that of OpenTelemetry's exporter: the same graph from both, and the same fields."""

import base64

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.graph.otlp_json import document
from tracediff import attributes as keys
from tracediff.capture import begin, functional_node, instrument, uninstrument
from tracediff.graph import ParameterGraph
from tracediff.graph.runs import record, score

encoder = pytest.importorskip("opentelemetry.exporter.otlp.proto.common.trace_encoder")
json_format = pytest.importorskip("google.protobuf.json_format")


@functional_node(name="encoded.answer")
def answer(question):
    call = begin(
        "encoded.answer:chat",
        "llm",
        {"messages": [{"role": "user", "content": f"Please answer: {question} \N{SNOWMAN} \ud800"}]},
        attributes={
            keys.OPERATION_NAME: "chat",
            keys.PROVIDER_NAME: "sim",
            keys.REQUEST_MODEL: "m",
            keys.USAGE_INPUT_TOKENS: 2**40,
            keys.RESPONSE_TIME_TO_FIRST_CHUNK: 0.25,
            keys.RESPONSE_FINISH_REASONS: ["stop", "length"],
            keys.UNFINISHED: True,
        },
    )
    call.end({"content": "There are seven animals in the barn."})
    return "There are seven animals in the barn."


@functional_node(name="encoded.failing")
def failing(text):
    raise ValueError(text)


@pytest.mark.parametrize("setting", ["NO_CONTENT", "SPAN_ONLY"])
def test_both_encoders_give_the_same_graph(monkeypatch, setting):
    monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, setting)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument("openai", tracer_provider=provider)
    try:
        with record(sample_id="one") as run:
            said = answer("How many animals are there?")
            answer(f"Is this so? {said}")
            with pytest.raises(ValueError):
                failing(said)
            score(run, 0.5, "half")
    finally:
        uninstrument()
    spans = exporter.get_finished_spans()
    ours = document(spans)
    theirs = json_format.MessageToDict(encoder.encode_spans(spans))
    assert listed(ours) == listed(theirs)
    graphs = [ParameterGraph.from_otlp(found) for found in (ours, theirs)]
    assert graphs[0].to_json() == graphs[1].to_json()
    assert graphs[0].notes == graphs[1].notes
    if setting == "SPAN_ONLY":
        assert graphs[1].to_json() == run.graph().to_json()


def listed(exported):
    """Span id -> what both say of it, ids as hex."""
    found = {}
    for resource in exported["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                found[as_hex(span["spanId"])] = {
                    "scope": scope["scope"]["name"],
                    "trace": as_hex(span["traceId"]),
                    "parent": as_hex(span.get("parentSpanId", "")),
                    "name": span["name"],
                    "times": (span["startTimeUnixNano"], span["endTimeUnixNano"]),
                    "attributes": {item["key"]: item["value"] for item in span["attributes"]},
                    "events": [event["name"] for event in span.get("events", [])],
                    "links": [as_hex(link["spanId"]) for link in span.get("links", [])],
                    "message": span.get("status", {}).get("message", ""),
                }
    return found


def as_hex(identity):
    return identity if len(identity) in (0, 16, 32) else base64.b64decode(identity).hex()
