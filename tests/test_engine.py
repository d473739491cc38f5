"""Engines over a real client and a loopback server: replies, retries, refusals."""

import json
import threading
import time

import pytest

from tests.integrations import anthropic_bodies, bodies
from tests.integrations.loopback import Answer, Loopback, as_json, page
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.engine import EngineRequest, connect
from tracediff.errors import EngineRefused, EngineUnavailable, MissingIntegration, UsageError
from tracediff.graph.runs import record

SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}
REQUEST = EngineRequest("backward", system="You judge.", user="Judge this.")
STRUCTURED = EngineRequest("backward", "You judge.", "Judge this.", "verdict", json.dumps(SCHEMA))
GOOD = as_json(bodies.chat("fine"))


@pytest.fixture(scope="module")
def server():
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture
def waits(monkeypatch):
    """Seconds that the engine would have slept."""
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture
def environment(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)


@pytest.fixture
def engine(environment, waits):
    made = connect("openai:sim", max_retries=2, timeout_s=5)
    yield made
    made._client.close()


def error(status, code=None, message="no", **headers):
    return as_json({"error": {"message": message, "code": code}}, status, **headers)


def test_a_reply_carries_text_and_cost(server, engine):
    server.script(GOOD)
    reply = engine(REQUEST)
    assert (reply.text, reply.input_tokens, reply.output_tokens) == ("fine", 12, 7)
    assert (reply.finish_reason, reply.model) == ("stop", "sim-2026")
    (seen,) = server.seen
    assert seen.json == {
        "model": "sim",
        "messages": [{"role": "system", "content": "You judge."}, {"role": "user", "content": "Judge this."}],
    }


def test_a_temperature_is_sent_when_given(server, environment, waits):
    server.script(GOOD)
    made = connect("openai:sim", temperature=0.0)
    made(REQUEST)
    made._client.close()
    assert server.seen[0].json["temperature"] == 0.0


def test_a_reply_at_its_length_limit_says_so(server, engine):
    server.script(as_json(bodies.chat("half", "length")))
    assert engine(REQUEST).finish_reason == "length"


def test_a_schema_is_enforced_strictly_where_it_can_be(server, engine):
    server.script(GOOD)
    engine(STRUCTURED)
    loose = {"type": "object", "properties": {"text": {"type": "string"}}}
    engine(EngineRequest("backward", "", "x", "verdict", json.dumps(loose)))
    wanted = [seen.json["response_format"]["json_schema"] for seen in server.seen]
    assert wanted[0] == {"name": "verdict", "schema": SCHEMA, "strict": True}
    assert wanted[1]["strict"] is False


def test_a_server_without_response_formats_is_asked_plainly_from_then_on(server, engine):
    server.script(error(400, message="response_format is not supported"), GOOD)
    assert engine(STRUCTURED).text == "fine"
    engine(STRUCTURED)
    assert ["response_format" in seen.json for seen in server.seen] == [True, False, False]


def test_a_bad_request_is_not_taken_for_a_refused_format(server, engine):
    server.script(error(400), error(400, message="bad messages"), GOOD)
    with pytest.raises(EngineRefused, match="bad messages"):
        engine(STRUCTURED)
    engine(STRUCTURED)
    assert "response_format" in server.seen[-1].json


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (401, "invalid_api_key", "OPENAI_API_KEY"),
        (403, None, "may use this model"),
        (404, "model_not_found", "model's name"),
        (400, None, "Check the request"),
        (429, "insufficient_quota", "quota is exhausted"),
    ],
)
def test_what_will_never_work_is_refused_at_once(server, engine, waits, status, code, advice):
    server.script(error(status, code))
    with pytest.raises(EngineRefused, match=advice) as raised:
        engine(REQUEST)
    assert len(server.seen) == 1
    assert waits == []
    assert "sk-canary" not in str(raised.value)


@pytest.mark.parametrize(
    "answer",
    [
        error(429),
        error(500),
        error(503),
        page("<html>Sorry</html>", "text/html"),
        page("", "text/plain"),
        page("", "application/json"),
        page('{"id": "chatcmpl-1", "cho'),
        as_json({}),
        as_json({"error": {"message": "overloaded"}}),
        Answer([b'{"id"', None], headers={"content-type": "application/json"}),
    ],
)
def test_what_may_pass_is_tried_again_and_then_unavailable(server, engine, waits, answer):
    server.script(answer, GOOD)
    assert engine(REQUEST).text == "fine"
    assert len(waits) == 1
    server.script(answer)
    with pytest.raises(EngineUnavailable, match="tried 3 times"):
        engine(REQUEST)
    assert len(server.seen) == 3


def test_a_server_that_is_not_there_is_unavailable(monkeypatch, waits):
    gone = Loopback()
    gone.close()
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", gone.base_url.replace("://", "://user:secret@"))
    made = connect("openai:sim", max_retries=0)
    with pytest.raises(EngineUnavailable, match="tried once") as raised:
        made(REQUEST)
    made._client.close()
    assert "secret" not in str(raised.value)


def test_a_timeout_is_unavailable(server, environment, waits):
    release = threading.Event()
    server.script(Answer([release], headers={"content-type": "application/json"}))
    made = connect("openai:sim", max_retries=0, timeout_s=0.05)
    with pytest.raises(EngineUnavailable):
        made(REQUEST)
    release.set()
    made._client.close()


@pytest.mark.parametrize(("headers", "expected"), [({"retry-after": "7"}, 7.0), ({"retry-after-ms": "250"}, 0.25)])
def test_no_call_comes_earlier_than_the_server_asks(server, engine, waits, headers, expected):
    server.script(error(429, **headers), GOOD)
    engine(REQUEST)
    assert waits == [expected]


def test_a_date_in_retry_after_is_understood(server, engine, waits, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)  # 2001-09-09 01:46:40
    server.script(error(503, **{"retry-after": "Sun, 09 Sep 2001 01:46:50 GMT"}), GOOD)
    engine(REQUEST)
    assert waits == [10.0]


def test_a_server_that_asks_for_too_long_is_not_waited_for(server, engine, waits):
    server.script(error(429, **{"retry-after": "3600"}))
    with pytest.raises(EngineUnavailable, match="pause of 3600 s"):
        engine(REQUEST)
    assert waits == []


def test_backoff_grows_and_repeats_itself(server, engine, waits):
    server.script(error(500))
    for _ in range(2):
        with pytest.raises(EngineUnavailable):
            engine(REQUEST)
    first, second = waits[:2], waits[2:]
    assert first == second
    assert first[0] < first[1]


def test_threads_share_one_engine(server, engine):
    server.script(GOOD)
    texts = []
    threads = [threading.Thread(target=lambda: texts.append(engine(REQUEST).text)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["fine"] * 8


def test_an_engine_call_is_never_recorded(server, engine):
    server.script(GOOD)
    instrument("openai")
    try:
        with record() as run:
            engine(REQUEST)
        assert run.records == ()
    finally:
        uninstrument()


def test_a_missing_key_is_refused_with_the_next_step(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(EngineRefused, match="OPENAI_API_KEY is not set.*local server"):
        connect("openai:sim")


def test_a_missing_client_names_the_pip_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(MissingIntegration, match=r"pip install 'tracediff\[openai\]'"):
        connect("openai:sim")


@pytest.mark.parametrize("spec", ["openai", "openai:", "gpt-5", "nobody:model", ""])
def test_an_unknown_engine_lists_the_known_ones(spec):
    with pytest.raises(UsageError, match="openai:MODEL"):
        connect(spec)


def test_text_that_can_not_be_sent_is_refused(server, engine):
    server.script(GOOD)
    with pytest.raises(EngineRefused, match="can't be sent"):
        engine(EngineRequest("backward", "", "\ud800"))


# Anthropic's messages


@pytest.fixture
def claude(server, waits, monkeypatch):
    pytest.importorskip("anthropic")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url.removesuffix("/v1"))
    made = connect("anthropic:sim", max_retries=2, timeout_s=5)
    yield made
    made._client.close()


WRITTEN = as_json(anthropic_bodies.message("fine"))
CALLED = as_json(anthropic_bodies.message(None, "tool_use", [{**anthropic_bodies.CALL, "input": {"text": "fine"}}]))


def refused(message):
    return as_json({"type": "error", "error": {"type": "invalid_request_error", "message": message}}, 400)


def test_anthropic_gives_text_and_cost(server, claude):
    server.script(WRITTEN)
    reply = claude(REQUEST)
    assert (reply.text, reply.input_tokens, reply.output_tokens) == ("fine", 15, 7)
    assert (reply.finish_reason, reply.model) == ("stop", "sim-2026")
    (seen,) = server.seen
    assert seen.path == "/v1/messages"
    assert seen.json == {
        "model": "sim",
        "max_tokens": 8192,
        "system": "You judge.",
        "messages": [{"role": "user", "content": "Judge this."}],
    }


def test_anthropic_at_its_length_limit_says_so(server, claude):
    server.script(as_json(anthropic_bodies.message("half", "max_tokens")))
    assert claude(REQUEST).finish_reason == "length"


def test_anthropic_enforces_a_closed_schema_by_its_format(server, claude):
    server.script(WRITTEN)
    claude(STRUCTURED)
    assert server.seen[0].json["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}


def test_anthropic_enforces_an_open_schema_by_a_tool(server, claude):
    server.script(CALLED)
    loose = {"type": "object", "properties": {"text": {"type": "string"}}}
    reply = claude(EngineRequest("backward", "", "x", "verdict", json.dumps(loose)))
    assert json.loads(reply.text) == {"text": "fine"}
    assert reply.finish_reason == "stop"
    assert server.seen[0].json["tool_choice"] == {"type": "tool", "name": "verdict"}
    assert server.seen[0].json["tools"][0]["input_schema"] == loose


def test_anthropic_s_refused_format_becomes_a_tool_for_good(server, claude):
    server.script(refused("output_config is not supported"), CALLED)
    assert json.loads(claude(STRUCTURED).text) == {"text": "fine"}
    claude(STRUCTURED)
    assert ["output_config" in seen.json for seen in server.seen] == [True, False, False]
    assert ["tools" in seen.json for seen in server.seen] == [False, True, True]


def test_anthropic_s_refused_request_is_refused_in_the_end(server, claude, waits):
    server.script(refused("messages: at least one message is required"))
    with pytest.raises(EngineRefused, match="at least one message"):
        claude(STRUCTURED)
    assert len(server.seen) == 3
    assert waits == []


@pytest.mark.parametrize(("status", "advice"), [(401, "ANTHROPIC_API_KEY"), (404, "ANTHROPIC_BASE_URL")])
def test_what_anthropic_will_never_do_is_refused_at_once(server, claude, status, advice):
    server.script(as_json({"type": "error", "error": {"type": "x", "message": "no"}}, status))
    with pytest.raises(EngineRefused, match=advice) as raised:
        claude(REQUEST)
    assert len(server.seen) == 1
    assert "sk-canary" not in str(raised.value)


@pytest.mark.parametrize(
    "answer",
    [
        as_json({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, 529),
        page("<html>Sorry</html>", "text/html"),
        page("", "application/json"),
        page('{"id": "msg_1", "cont'),
        as_json({}),
        as_json({"type": "error", "error": {"message": "overloaded"}}),
        Answer([b'{"id"', None], headers={"content-type": "application/json"}),
    ],
)
def test_what_may_pass_at_anthropic_is_tried_again(server, claude, waits, answer):
    server.script(answer, WRITTEN)
    assert claude(REQUEST).text == "fine"
    assert len(waits) == 1


def test_an_anthropic_engine_s_call_is_never_recorded(server, claude):
    server.script(WRITTEN)
    instrument("anthropic")
    try:
        with record() as run:
            claude(REQUEST)
        assert run.records == ()
    finally:
        uninstrument()


def test_anthropic_needs_its_key(monkeypatch):
    pytest.importorskip("anthropic")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(EngineRefused, match="ANTHROPIC_API_KEY is not set"):
        connect("anthropic:sim")


# The bundled simulation


def test_the_simulation_speaks_anthropic(monkeypatch):
    anthropic = pytest.importorskip("anthropic")
    from tracediff.simulate import Server, World

    ask = {"model": "sim-solver", "max_tokens": 99, "messages": [{"role": "user", "content": "Count: a cat."}]}
    with Server(World(seed=3)) as simulation:
        address = simulation.base_url.removesuffix("/v1")
        with anthropic.Anthropic(api_key="k", base_url=address, max_retries=0) as client:
            whole = client.messages.create(**ask)
            with client.messages.stream(**ask) as stream:
                streamed = stream.get_final_message()
            counted = client.messages.count_tokens(model="sim-solver", messages=ask["messages"])
            with pytest.raises(anthropic.NotFoundError, match="does not exist"):
                client.messages.create(**{**ask, "model": "gpt"})
        assert whole.content[0].text == streamed.content[0].text != ""
        assert whole.usage.input_tokens == counted.input_tokens == streamed.usage.input_tokens
        assert (whole.stop_reason, streamed.stop_reason) == ("end_turn", "end_turn")


@pytest.mark.parametrize("closed", [True, False])
def test_simulated_critics_say_the_same_in_both_languages(monkeypatch, closed):
    pytest.importorskip("anthropic")
    from tracediff.simulate import Server, World

    method = {"type": "object", "properties": {"method": {"enum": ["rewrite", "add rule"]}, "text": {"type": "string"}}}
    schema = {**method, "required": ["method", "text"], "additionalProperties": False} if closed else method
    user = '<task kind="proposal">\n<parameter name="app.p" role="r" variables="" trainable="yes">Count.</parameter>\n</task>'
    request = EngineRequest("optimizer", "You propose.", user, "proposal", json.dumps(schema))
    with Server(World(seed=3)) as simulation:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_BASE_URL", simulation.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", simulation.base_url.removesuffix("/v1"))
        engines = [connect(f"{provider}:sim-optimizer", max_retries=0) for provider in ("openai", "anthropic")]
        said = [json.loads(engine(request).text) for engine in engines]
        for engine in engines:
            engine._client.close()
    assert said[0] == said[1]
    assert said[0]["method"] in ("rewrite", "add rule")
