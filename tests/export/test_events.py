"""Content as events, opt-in: one a model call, on its span, as structures; redacted, limited, and nothing otherwise."""

import json

import pytest
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tests.integrations import bodies
from tests.integrations.loopback import Loopback, as_json
from tracediff import attributes as keys
from tracediff.capture import eventing, functional_node, instrument, uninstrument
from tracediff.capture.faults import faults
from tracediff.graph.runs import record

openai = pytest.importorskip("openai")
CANARY = "planted canary"


@pytest.fixture
def server():
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture
def logs():
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.exporter = exporter
    yield provider
    provider.shutdown()


@pytest.fixture
def run(server, logs, monkeypatch):
    """Run a program of one call under a setting; return its events and its spans."""

    def under(setting, *answers, sampler=None, **settings):
        monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, setting)
        spans = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False, **({"sampler": sampler} if sampler else {}))
        provider.add_span_processor(SimpleSpanProcessor(spans))
        instrument("openai", tracer_provider=provider, **{"logger_provider": logs, **settings})
        server.script(*(answers or [as_json(bodies.chat(f"Seven {CANARY}."))]))

        @functional_node(name="events.program")
        def program(text):
            with openai.OpenAI(api_key="k", base_url=server.base_url, max_retries=0) as client:
                return client.chat.completions.create(model="sim", messages=[{"role": "user", "content": text}])

        with record() as made:
            try:
                program(f"How many? {CANARY}")
            except openai.BadRequestError:
                pass
        assert len(made.records) == 2
        return [each.log_record for each in logs.exporter.get_finished_logs()], spans.get_finished_spans()

    before = faults.counts()
    yield under
    uninstrument()
    assert faults.counts() == before


@pytest.mark.parametrize("setting", ["EVENT_ONLY", "SPAN_AND_EVENT"])
def test_a_model_call_is_one_event_on_its_span(run, setting):
    (event,), spans = run(setting)
    (call,) = [span for span in spans if span.name == "chat sim"]
    assert event.event_name == "gen_ai.client.inference.operation.details"
    assert (event.trace_id, event.span_id) == (call.context.trace_id, call.context.span_id)
    said = json.loads(json.dumps(dict(event.attributes)))
    assert said[keys.INPUT_MESSAGES] == [
        {"role": "user", "parts": [{"type": "text", "content": f"How many? {CANARY}"}]}
    ]
    assert said[keys.OUTPUT_MESSAGES] == [
        {"role": "assistant", "parts": [{"type": "text", "content": f"Seven {CANARY}."}], "finish_reason": "stop"}
    ]
    assert said[keys.OPERATION_NAME] == "chat"
    assert said[keys.REQUEST_MODEL] == "sim"
    assert said[keys.USAGE_OUTPUT_TOKENS] == 7
    in_spans = [CANARY in span.to_json() for span in spans]
    assert any(in_spans) is (setting == "SPAN_AND_EVENT")


@pytest.mark.parametrize("setting", ["", "NO_CONTENT", "SPAN_ONLY"])
def test_there_is_no_event_unless_it_is_asked_for(run, setting):
    events, _ = run(setting)
    assert events == []


def test_redaction_and_limits_hold_in_events(run):
    (event,), _ = run("EVENT_ONLY", redact=lambda text: text.replace(CANARY, "***"), max_content_chars=12)
    said = json.dumps(dict(event.attributes))
    assert CANARY not in said
    assert '"How many? **"' in said
    assert '"Seven ***."' in said


def test_an_error_has_no_message_in_its_event_beyond_its_type(run):
    (event,), _ = run("EVENT_ONLY", as_json({"error": {"message": "refused-7"}}, 400))
    assert event.attributes[keys.ERROR_TYPE] == "BadRequestError"
    assert len(event.attributes[keys.OUTPUT_MESSAGES]) == 0
    assert "refused-7" not in str(dict(event.attributes))


def test_a_call_that_was_not_sampled_has_no_event(run):
    assert run("EVENT_ONLY", sampler=ALWAYS_OFF)[0] == []


def test_the_global_provider_is_used_as_it_is(run, logs, monkeypatch):
    monkeypatch.setattr(eventing._logs, "chosen", None)
    monkeypatch.setattr(_logs._internal, "_LOGGER_PROVIDER", logs)
    (event,), _ = run("EVENT_ONLY", logger_provider=None)
    assert event.event_name == keys.INFERENCE_EVENT


def test_without_a_logger_provider_nothing_happens(run, monkeypatch):
    set_before = _logs._internal._LOGGER_PROVIDER
    assert run("EVENT_ONLY", logger_provider=None)[0] == []
    assert _logs._internal._LOGGER_PROVIDER is set_before
