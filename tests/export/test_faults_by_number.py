"""Faults that a run must survive, by the numbers they have in the project's list, each from the program to the end."""

import json
import logging
import threading
import time

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tracediff
from tests.integrations import bodies
from tests.integrations.loopback import Loopback, as_json, events, page
from tracediff import attributes as keys
from tracediff.capture import functional_node, instrument, uninstrument
from tracediff.capture.faults import faults
from tracediff.capture.values import Placeholder
from tracediff.engine import connect
from tracediff.engine.protocol import EngineRequest
from tracediff.errors import EngineUnavailable
from tracediff.graph.runs import record
from tracediff.training.evaluation import evaluate

openai = pytest.importorskip("openai")
CANARY = "canary-7f3a"
ASK = {"model": "sim", "messages": [{"role": "user", "content": "How many animals?"}]}
CUT = events(bodies.chat_chunks(finish_reason=None), done=False)
WHOLE = events(bodies.chat_chunks())


@pytest.fixture(scope="module")
def server():
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture
def ask(server):
    """A program of one streamed call."""
    client = openai.OpenAI(api_key="k", base_url=server.base_url, max_retries=0)

    def program(question):
        stream = client.chat.completions.create(
            model="sim", messages=[{"role": "user", "content": question}], stream=True
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

    yield program
    client.close()


@pytest.fixture(autouse=True)
def patched(monkeypatch):
    monkeypatch.delenv(keys.CAPTURE_CONTENT_VARIABLE, raising=False)
    instrument("openai")
    yield
    uninstrument()


@pytest.fixture
def at_once(monkeypatch):
    """Nobody waits before trying again."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


SAMPLES = [{"id": "one", "question": "How many animals?", "answer": "There are seven."}]


def exact(got, sample):
    return got == sample["answer"]


def test_4_a_stream_without_a_finish_reason_is_flagged_and_not_scored(server, ask):
    server.script(CUT)
    with record() as run:
        ask("How many?")
    assert run.records[0].attributes[keys.FAULT] == "truncated"
    server.script(CUT, WHOLE)
    found = evaluate(ask, SAMPLES, exact)
    assert found.mean == 1.0  # asked again
    assert len(server.seen) == 2
    server.script(CUT)
    with pytest.raises(EngineUnavailable, match="the stream ended without a finish reason"):
        evaluate(ask, SAMPLES, exact)


def test_4_a_program_that_asks_again_by_itself_is_scored(server, ask):
    def careful(question):
        while (answer := ask(question)) != "There are seven.":
            pass
        return answer

    server.script(events(bodies.chat_chunks(("There ",), finish_reason=None), done=False), WHOLE)
    assert evaluate(careful, SAMPLES, exact).mean == 1.0
    assert len(server.seen) == 2


def test_5_a_finish_reason_of_length_is_recorded(server, ask):
    """That such a proposal is refused is shown in tests/optim."""
    server.script(events(bodies.chat_chunks(finish_reason="length")))
    with record() as run:
        ask("How many?")
    assert run.records[0].attributes[keys.RESPONSE_FINISH_REASONS] == ["length"]
    assert keys.FAULT not in run.records[0].attributes


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (page("<html>Sorry</html>", "text/html"), "not_json"),
        (page("", "application/json"), "broken_json"),
        (page('{"id": "x", "cho'), "broken_json"),
    ],
)
def test_6_no_answer_at_status_200_is_a_typed_error_and_tried_again(server, answer, fault, monkeypatch, at_once):
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    engine = connect("openai:sim")
    server.script(answer, as_json(bodies.chat()))
    assert engine(EngineRequest("test", "s", "u")).text == bodies.TEXT
    assert len(server.seen) == 2
    server.script(answer)
    with pytest.raises(EngineUnavailable):
        engine(EngineRequest("test", "s", "u"))

    def program(question):
        with openai.OpenAI(api_key="k", base_url=server.base_url, max_retries=0) as client:
            return client.chat.completions.create(**ASK).choices[0].message.content

    server.script(answer)
    with record() as run, pytest.raises((AttributeError, ValueError, openai.APIError)):
        program("x")
    assert run.records[0].attributes[keys.FAULT] == fault
    server.script(answer, as_json(bodies.chat("There are seven.")))
    assert evaluate(program, SAMPLES, exact).mean == 1.0


def exported(exporter):
    return json.dumps([json.loads(span.to_json()) for span in exporter.get_finished_spans()])


def test_13_a_secret_is_in_no_export_journal_or_log_without_content(server, tmp_path, caplog, monkeypatch):
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument(tracer_provider=provider, meter_provider=MeterProvider([reader], shutdown_on_exit=False))
    server.script(
        as_json(bodies.chat(CANARY)),
        as_json({"error": {"message": CANARY}}, 400),
        events([{"error": {"message": CANARY}}]),
    )
    client = openai.OpenAI(
        api_key=f"sk-{CANARY}", base_url=server.base_url, max_retries=0, default_headers={"x-secret": CANARY}
    )
    asked = {"model": "sim", "messages": [{"role": "user", "content": f"I am {CANARY}."}], "user": CANARY}

    @functional_node(name="faults.guarded")
    def program(text):
        client.chat.completions.create(**asked)
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**asked)
        with pytest.raises(openai.APIError):
            list(client.chat.completions.create(**asked, stream=True))
        return f"done {text}"

    with caplog.at_level(logging.DEBUG, "tracediff"), client, record(sample_id=CANARY) as run:
        program(CANARY)
        run.set_output(CANARY)
    assert len(run.records) == 4
    assert len(exporter.get_finished_spans()) == 5
    assert CANARY not in exported(exporter)
    assert CANARY not in reader.get_metrics_data().to_json()
    assert CANARY not in "".join(entry.getMessage() for entry in caplog.records if entry.name.startswith("tracediff"))
    run.save(tmp_path / "run.jsonl")
    saved = (tmp_path / "run.jsonl").read_text()
    assert f"sk-{CANARY}" not in saved and "x-secret" not in saved  # the prompts are what a run file is for


class Hanging(SpanExporter):
    """A collector that takes nothing until its gate opens, or refuses."""

    def __init__(self, gate=None, answer=SpanExportResult.FAILURE):
        self.gate, self.answer = gate, answer

    def export(self, spans):
        if self.gate is not None:
            self.gate.wait(20)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def shutdown(self):
        pass


@pytest.mark.parametrize("kind", ["down", "hanging", "answers 503"])
def test_20_a_dead_collector_takes_nothing_from_a_recording_and_its_drops_are_shown(server, ask, caplog, kind):
    gate = threading.Event()
    collector = {
        "down": Hanging(answer=ConnectionError("refused")),
        "hanging": Hanging(gate),
        "answers 503": Hanging(),
    }[kind]
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(collector, schedule_delay_millis=1))
    instrument(tracer_provider=provider)
    server.script(WHOLE)
    with caplog.at_level(logging.CRITICAL, "opentelemetry"):
        with record() as run:
            for _ in range(5):
                assert ask("How many?") == "There are seven."
        report = tracediff.flush_export(timeout_s=0.2)
        assert len(run.records) == 5
        assert report.ended == 6
        assert report.exporters[0].exported == 0
        assert report.lost + report.exporters[0].waiting == 6
        assert "0 of 6 spans exported" in str(report)
        if kind == "hanging":
            assert report.exporters[0].waiting == 6  # it did not wait until the collector gave up
        gate.set()
        provider.shutdown()


def test_21_a_burst_is_recorded_whole_and_its_drops_are_reported(server, ask, caplog):
    """With 10,000 spans in test_delivery.py; here calls of a client."""
    gate = threading.Event()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(Hanging(gate, SpanExportResult.SUCCESS), max_queue_size=8, max_export_batch_size=4)
    )
    instrument(tracer_provider=provider)
    server.script(WHOLE)
    with caplog.at_level(logging.CRITICAL, "opentelemetry"):
        with record() as run:
            for _ in range(40):
                ask("How many?")
        assert len(run.records) == 40
        report = tracediff.export_report()
        assert report.lost == 41 - report.exporters[0].waiting > 0
        gate.set()
        provider.shutdown()


class Raising:
    def __repr__(self):
        raise RuntimeError("nobody may ask")

    __str__ = __repr__


def test_25_what_no_one_can_write_down_goes_through_untouched(monkeypatch):
    monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, "SPAN_AND_EVENT")
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument(tracer_provider=provider)
    before = faults.counts()
    raising, lock, numbers = Raising(), threading.Lock(), (number for number in range(3))

    @functional_node(name="faults.passing")
    def passing(value, others):
        return value, others

    with record() as run:
        assert passing(raising, [lock]) == (raising, [lock])
        assert passing(numbers, None)[0] is numbers
    assert list(numbers) == [0, 1, 2]
    first, second = run.records
    assert isinstance(first.inputs["value"], Placeholder) and isinstance(second.inputs["value"], Placeholder)
    assert faults.counts() == before
    assert len(exporter.get_finished_spans()) == 3
