"""A collector that is down, hangs or refuses: the recording is complete, what was not exported is counted and shown."""

import logging
import os
import subprocess
import sys
import threading

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tracediff
from tracediff.capture import functional_node, spans
from tracediff.errors import UsageError
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


def test_a_shutdown_keeps_its_deadline_and_tells_what_was_lost(send, caplog):
    gate = threading.Event()
    collector = Collector(gate=gate)
    provider = send(collector, BatchSpanProcessor, schedule_delay_millis=1, max_export_batch_size=1)
    for number in range(3):
        step(str(number))
    assert collector.started.wait(10)
    with caplog.at_level(logging.WARNING, "tracediff"):
        report = tracediff.shutdown_export(timeout_s=0.05)  # returns while the collector hangs
    assert not gate.is_set()
    (exporter,) = report.exporters
    assert (exporter.exported, exporter.waiting, exporter.dropped) == (0, 1, 2)
    assert [entry.getMessage() for entry in caplog.records if entry.name == "tracediff"] == [
        f"tracediff: spans were not exported (recordings are complete): {report}"
    ]
    gate.set()


@pytest.mark.parametrize("is_global", [False, True])
def test_the_end_of_a_process_waits_no_longer_than_it_is_told(is_global):
    """The provider's own handler finds nothing left to wait for."""
    code = f"""
import logging, threading
logging.basicConfig(format="%(name)s: %(message)s")
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
import tracediff
from tracediff.capture import functional_node

class Hanging(SpanExporter):
    def export(self, spans):
        threading.Event().wait()
    def shutdown(self):
        pass

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Hanging(), schedule_delay_millis=1))
if {is_global}:
    trace.set_tracer_provider(provider)
tracediff.instrument("openai", tracer_provider=None if {is_global} else provider, exit_timeout_s=0.1)
functional_node(lambda: None)()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=25, env=environment())
    assert done.returncode == 0, done.stderr
    assert "0 of 1 spans exported" in done.stderr


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_negative_time_is_refused():
    with pytest.raises(UsageError, match="exit_timeout_s"):
        tracediff.instrument("openai", exit_timeout_s=-1)
    tracediff.uninstrument()
