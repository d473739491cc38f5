"""Fault 13, wide: with content off no word of any request or answer leaves, whatever goes wrong with it."""

import gc
import random

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.integrations import answers, exchanges
from tests.integrations.test_exchanges import drawn, outcome
from tracediff import attributes as keys
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.graph.runs import record

CANARY = "canary-4711"


@pytest.fixture
def marked(monkeypatch):
    """Every word of both sides is marked, and so are junk and refusals."""
    monkeypatch.setattr(answers, "WORDS", [f"{CANARY} {word}" for word in answers.WORDS])
    monkeypatch.setattr(exchanges, "JUNK", [*exchanges.JUNK, CANARY, [CANARY], {CANARY: CANARY}])
    refusals = [(status, said.replace(b"no", CANARY.encode())) for status, said in exchanges.REFUSALS]
    monkeypatch.setattr(exchanges, "REFUSALS", refusals)
    yield
    gc.unfreeze()  # what ``outcome`` froze


def signals():
    """Providers in memory, and what returns all that left through them as one text."""
    exporter, reader, logs = InMemorySpanExporter(), InMemoryMetricReader(), InMemoryLogRecordExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    events = LoggerProvider(shutdown_on_exit=False)
    events.add_log_record_processor(SimpleLogRecordProcessor(logs))
    meters = MeterProvider([reader], shutdown_on_exit=False)

    def left():
        spans = [span.to_json() for span in exporter.get_finished_spans()]
        found = "\n".join([*spans, reader.get_metrics_data().to_json(), *map(str, logs.get_finished_logs())])
        exporter.clear()
        logs.clear()
        return found

    return {"tracer_provider": provider, "meter_provider": meters, "logger_provider": events}, left


@pytest.mark.parametrize("seed", range(2))
def test_13_no_word_of_an_exchange_leaves_with_content_off(marked, monkeypatch, caplog, seed):
    monkeypatch.delenv(keys.CAPTURE_CONTENT_VARIABLE, raising=False)
    rng = random.Random(seed)
    to, left = signals()
    instrument(**to)
    try:
        for number in range(20):
            case, mode, retries = drawn(rng)
            with record(sample_id=CANARY) as run:
                outcome(case, mode, retries)
                run.set_output({CANARY: CANARY})
            found = left()
            assert "chat sim" in found or "sim" in found or not run.records
            assert CANARY not in found, (number, mode.__name__, near(found))
    finally:
        uninstrument()
    ours = [entry for entry in caplog.records if entry.name.startswith("tracediff")]
    assert CANARY not in "".join(entry.getMessage() + str(entry.exc_text) for entry in ours)


def test_the_marks_are_there_with_content_on(marked, monkeypatch):
    """Else the test above could not fail."""
    monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, "SPAN_AND_EVENT")
    rng = random.Random(1)
    to, left = signals()
    instrument(**to)
    try:
        with record():
            for _ in range(10):
                outcome(*drawn(rng))
        assert left().count(CANARY) > 20
    finally:
        uninstrument()


def near(found):
    at = found.index(CANARY)
    return found[max(at - 300, 0) : at + 100]
