"""The end of a program whose collectors hang, with ``exit_timeout_s``: for spans, metrics and events, whoever asks."""

import logging
import os
import subprocess
import sys
import threading

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tracediff import attributes as keys
from tracediff.capture import begin, instrument, uninstrument

PROGRAM = """
import logging, os, sys, threading
logging.basicConfig(format="%(name)s: %(message)s")
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_AND_EVENT"
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
import tracediff
from tracediff import attributes as keys
from tracediff.capture import begin

class Hanging:
    def export(self, *args, **kwargs):
        threading.Event().wait()
    def shutdown(self, *args, **kwargs):
        pass
    def force_flush(self, *args, **kwargs):
        return True

class Spans(Hanging, SpanExporter): pass
class Metrics(Hanging, MetricExporter): pass
class Logs(Hanging, LogRecordExporter): pass

tracediff.instrument("openai", exit_timeout_s=0.2)
tracer_provider = TracerProvider()
tracer_provider.add_span_processor(BatchSpanProcessor(Spans(), schedule_delay_millis=1))
trace.set_tracer_provider(tracer_provider)
metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(Metrics())]))
logger_provider = LoggerProvider()
logger_provider.add_log_record_processor(BatchLogRecordProcessor(Logs()))
_logs.set_logger_provider(logger_provider)
said = {keys.PROVIDER_NAME: "openai", keys.OPERATION_NAME: "chat", keys.USAGE_INPUT_TOKENS: 3}
begin("a:chat", "llm", {"messages": [{"role": "user", "content": "x"}]}, attributes=said).end({"content": "y"})
if "own" in sys.argv:
    tracer_provider.shutdown()
    print("shut down")
"""


@pytest.mark.parametrize("how", ["", "own"])
def test_a_process_whose_collectors_hang_ends(how):
    """The providers are made after ``instrument``, and each waits half a minute for itself."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=25, env=environment)
    assert done.returncode == 0, done.stderr
    assert "0 of 1 spans exported" in done.stderr
    assert ("shut down" in done.stdout) == bool(how)


@pytest.fixture
def hanging():
    """A provider whose collector hangs until the test is over."""
    gate = threading.Event()

    class Hanging(SpanExporter):
        def export(self, spans):
            gate.wait(20)

        def shutdown(self):
            pass

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Hanging(), schedule_delay_millis=1))
    yield provider, gate
    gate.set()


def call():
    said = {keys.PROVIDER_NAME: "openai", keys.OPERATION_NAME: "chat"}
    begin("exits:chat", "llm", {"messages": []}, attributes=said).end({"content": "y"})


def test_a_shutdown_that_the_program_asks_for_is_bounded_and_told(hanging, caplog):
    provider, gate = hanging
    instrument("openai", tracer_provider=provider, exit_timeout_s=0.05)
    try:
        call()
        with caplog.at_level(logging.WARNING, "tracediff"):
            provider.shutdown()  # returns while the collector hangs
        assert not gate.is_set()
        assert "0 of 1 spans exported" in caplog.text
    finally:
        gate.set()
        uninstrument()


def test_a_provider_is_as_it_was_after_uninstrument():
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    own = provider.shutdown
    for _ in range(2):
        instrument("openai", tracer_provider=provider, meter_provider=meters, exit_timeout_s=5)
        call()
        assert provider.shutdown != own and "shutdown" in vars(meters)
        uninstrument()
        assert provider.shutdown == own and "shutdown" not in {**vars(provider), **vars(meters)}
    instrument("openai", tracer_provider=provider)
    call()
    assert provider.shutdown == own  # nobody asked for a limit
    uninstrument()
    provider.shutdown()
    assert len(exporter.get_finished_spans()) == 3
    meters.shutdown()


def test_what_a_shutdown_raises_and_takes_passes_through():
    seen = []

    class Odd(TracerProvider):
        def shutdown(self, *args, **kwargs):
            seen.append((args, kwargs))
            super().shutdown()
            raise KeyError("the provider's own")

    provider = Odd(shutdown_on_exit=False)
    instrument("openai", tracer_provider=provider, exit_timeout_s=5)
    try:
        call()
        with pytest.raises(KeyError, match="own"):
            provider.shutdown(1, two=2)
    finally:
        uninstrument()
    assert seen == [((1,), {"two": 2})]
