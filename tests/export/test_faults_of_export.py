"""Fault 26 on the way out: any step of ours that raises while spans, metrics and content leave is counted, not felt."""

import importlib
import inspect
import json
import types

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tracediff
import tracediff.graph.structure  # imported late, it would keep what a test has broken
from tracediff import attributes as keys
from tracediff.capture import begin, functional_node, instrument, uninstrument
from tracediff.capture.faults import faults
from tracediff.graph.runs import record, score

MODULES = [
    f"tracediff.capture.{name}"
    for name in ("content", "delivery", "eventing", "messages", "metering", "redaction", "runspan", "spans")
]
EDGES = {
    # What is called by a program's own hand, and raises what its caller should know.
    "tracediff.capture.spans.use_provider",
    "tracediff.capture.spans.export_report",
    "tracediff.capture.spans.flush_export",
    "tracediff.capture.metering.use_meter_provider",
    "tracediff.capture.eventing.use_logger_provider",
    "tracediff.capture.redaction.limit",
    # The places that catch, and those that stand on them.
    "tracediff.capture.metering.measure",
    "tracediff.capture.eventing.emit",
    "tracediff.capture.spans.start",
    "tracediff.capture.spans.finish",
    "tracediff.capture.spans.is_on",
    "tracediff.capture.metering.is_on",
    "tracediff.capture.spans.is_suppressed",
    "tracediff.capture.runspan.open_run",
    "tracediff.capture.runspan.close_run",
    "tracediff.capture.runspan.amend_run",
    "tracediff.capture.runspan.evaluated",
    "tracediff.capture.delivery.Outlet.watch",
    "tracediff.capture.delivery.Outlet.tell",
    "tracediff.capture.runspan.is_exported",
    # Read from an export, not on its way.
    "tracediff.capture.content.record_from_attributes",
    "tracediff.capture.spans.record_from_attributes",
}


def steps():
    for module_name in MODULES:
        for name, value in vars(importlib.import_module(module_name)).items():
            if getattr(value, "__module__", None) != module_name:
                continue
            if isinstance(value, types.FunctionType):
                yield f"{module_name}:{name}"
            elif inspect.isclass(value) and not hasattr(value, "__dataclass_fields__"):
                for method, function in vars(value).items():
                    if isinstance(function, types.FunctionType) and not method.startswith("__"):
                        yield f"{module_name}:{name}.{method}"


@functional_node(name="leaving.step")
def step(text):
    call = begin(
        "leaving.step:chat",
        "llm",
        {"messages": [{"role": "user", "content": text}], "system": "Count.", "tools": [{"name": "look"}]},
        attributes={
            keys.OPERATION_NAME: "chat",
            keys.PROVIDER_NAME: "openai",
            keys.REQUEST_MODEL: "m",
            keys.USAGE_INPUT_TOKENS: 3,
            keys.RESPONSE_FINISH_REASONS: ["stop"],
        },
    )
    if call is not None:
        call.end({"content": text.upper(), "tool_calls": [{"id": "1", "name": "look", "arguments": "{}"}]})
    begin("leaving.look", "tool", {"place": "barn"}).end("seven") if call is not None else None
    return text.upper()


def program():
    with record(sample_id="one") as run:
        assert step("seven animals") == "SEVEN ANIMALS"
        with pytest.raises(KeyError):
            raising("x")
        run.set_output("seven")
        score(run, 1.0, "well done")
    score(run, 0.5, "later")
    assert step("alone") == "ALONE"
    return run


@functional_node(name="leaving.raising")
def raising(text):
    raise KeyError(text)


@pytest.mark.parametrize("setting", ["NO_CONTENT", "SPAN_AND_EVENT"])
@pytest.mark.parametrize("step_name", [name for name in steps() if name.replace(":", ".") not in EDGES])
def test_26_a_fault_on_the_way_out_is_counted_and_not_felt(monkeypatch, step_name, setting):
    monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, setting)
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    instrument(tracer_provider=provider, meter_provider=meters, redact=lambda text: text, max_content_chars=9_999)
    module_name, _, name = step_name.partition(":")
    owner = importlib.import_module(module_name)
    while "." in name:
        head, _, name = name.partition(".")
        owner = getattr(owner, head)
    called = []

    def broken(*args, **kwargs):
        called.append(step_name)
        raise RuntimeError("injected")

    before = sum(faults.counts().values())
    try:
        monkeypatch.setattr(owner, name, broken)
        run = program()
        assert [made.name for made in run.records] == [
            "leaving.step:chat",
            "leaving.look",
            "leaving.step",
            "leaving.raising",
        ]
        json.dumps(run.graph().to_json())
        provider.force_flush()
        provider.shutdown()
        if step_name.startswith("tracediff.capture.delivery"):
            assert len(exporter.get_finished_spans()) >= 7  # what counts them is not what carries them
        if called:
            assert sum(faults.counts().values()) > before
    finally:
        monkeypatch.undo()
        uninstrument()
        meters.shutdown()
    assert tracediff.export_report() is not None
