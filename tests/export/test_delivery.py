"""A collector that is down, hangs or refuses: the recording is complete, what was not exported is counted and shown."""

import logging
import threading

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tracediff
from tracediff.capture import functional_node, spans
from tracediff.graph.runs import record


@functional_node(name="app.step")
def step(text):
    return text


@pytest.fixture
def send():
    """Send spans to an exporter through a processor of the given class."""
    providers = []

    def to(exporter, processor=SimpleSpanProcessor, **more):
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor(exporter, **more))
        spans.use_provider(provider)
        providers.append(provider)
        return provider

    yield to
    spans.use_provider(None)
    for provider in providers:
        provider.shutdown()


class Collector(SpanExporter):
    """Takes batches as ``answer`` says, after ``gate`` opens."""

    def __init__(self, answer=SpanExportResult.SUCCESS, gate=None):
        self.answer, self.gate, self.started = answer, gate, threading.Event()

    def export(self, spans):
        self.started.set()
        if self.gate is not None:
            assert self.gate.wait(20)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def shutdown(self):
        pass


def test_what_was_delivered_is_counted(send):
    send(InMemorySpanExporter())
    with record():
        for number in range(5):
            step(str(number))
    (report,) = tracediff.export_report().exporters
    assert (report.exported, report.failed, report.waiting, report.dropped) == (6, 0, 0, 0)  # the run's own too
    assert tracediff.export_report().lost == 0


@pytest.mark.parametrize("answer", [SpanExportResult.FAILURE, RuntimeError("connection refused")])
def test_what_a_collector_refused_is_counted_and_shown(send, answer, caplog):
    provider = send(Collector(answer))
    with record() as run, caplog.at_level(logging.CRITICAL, "opentelemetry"):
        step("one")
    (report,) = tracediff.export_report().exporters
    assert (report.name, report.exported, report.failed) == ("Collector", 0, 2)
    assert len(run.records) == 1
    with caplog.at_level(logging.WARNING, "tracediff"):
        provider.shutdown()
    shown = [entry.getMessage() for entry in caplog.records if entry.name == "tracediff"]
    assert len(shown) == 1
    assert "0 of 2 spans exported, 2 failed" in shown[0]


def test_a_burst_of_10_000_is_recorded_whole_and_its_drops_are_counted(send, caplog):
    gate = threading.Event()
    collector = Collector(gate=gate)
    send(collector, BatchSpanProcessor, max_queue_size=2_048, max_export_batch_size=512)
    with caplog.at_level(logging.CRITICAL, "opentelemetry"), record() as run:
        for number in range(10_000):
            step(str(number))
    assert len(run.records) == 10_000
    stuck = tracediff.export_report()
    assert stuck.ended == 10_001
    (report,) = stuck.exporters
    assert report.exported == report.failed == 0
    assert 2_048 <= report.waiting <= 2_048 + 512
    assert report.dropped == 10_001 - report.waiting == stuck.lost
    gate.set()
    (report,) = tracediff.flush_export(timeout_s=20).exporters
    assert (report.exported + report.dropped, report.waiting) == (10_001, 0)


def test_a_flush_keeps_its_deadline_against_a_collector_that_hangs(send):
    gate = threading.Event()
    collector = Collector(gate=gate)
    send(collector, BatchSpanProcessor, schedule_delay_millis=1)
    step("one")
    assert collector.started.wait(10)
    report = tracediff.flush_export(timeout_s=0.05)  # returns while the collector hangs
    assert report.exporters[0].waiting == 1
    assert not gate.is_set()
    gate.set()
    assert tracediff.flush_export(timeout_s=20).exporters[0].exported == 1


def test_an_exporter_is_called_as_ever(send):
    seen = []

    class Odd(SpanExporter):
        def export(self, spans):
            seen.append(spans)
            return SpanExportResult.SUCCESS

        def shutdown(self, timeout_millis=7):
            seen.append(timeout_millis)

    provider = send(Odd(), BatchSpanProcessor)
    step("one")
    provider.shutdown()
    assert [span.name for span in seen[0]] == ["app.step"]
    assert isinstance(seen[1], (int, float)) and seen[1] > 7  # the SDK reads the signature and passes what is left


def test_without_a_provider_there_is_nothing_to_report():
    assert tracediff.export_report().ended == 0
    assert "no exporter" in str(tracediff.flush_export())
