"""Concurrency, failures and order of a backward pass over a batch."""

from __future__ import annotations

import threading
import time

import pytest

from tracediff.autodiff import backward, backward_batch
from tracediff.capture.context import current_scope
from tracediff.engine import EngineReply
from tracediff.errors import EngineRefused, EngineUnavailable, NoRule, UsageError
from tracediff.scores import Score
from tracediff.testing import RunBuilder, ScriptedEngine, feedback_for

WRONG = Score(0.0, "wrong")


def layers(sample: str, depth: int, width: int):
    """A graph of ``depth`` layers of ``width`` model calls, each fed by its own prompt and all of the layer before."""
    run = RunBuilder(sample)
    before = []
    for layer in range(depth):
        before = [
            run.llm(
                f"l{layer}.n{at}:chat", f"{sample} {layer} {at}", messages=[run.prompt(f"p{layer}.{at}", "T"), *before]
            )
            for at in range(width)
        ]
    return run.graph(run.llm("last:chat", "end", messages=before))


def test_all_calls_of_one_depth_run_at_the_same_time_over_all_samples():
    samples, width = 3, 4
    barriers = {
        0: threading.Barrier(samples * width),
        1: threading.Barrier(samples * width),
        2: threading.Barrier(samples),
    }

    def critic(request):
        name = request.user.split('<node name="')[1]
        layer = 2 if name.startswith("last") else int(name[1])
        barriers[layer].wait(timeout=20)  # breaks unless all of the layer are in flight together
        return feedback_for(request)

    engine = ScriptedEngine(critic)
    batch = [(layers(f"s{at}", 2, width), WRONG) for at in range(samples)]
    gradients = backward_batch(batch, engine)
    assert engine.calls == samples * (1 + 2 * width)
    assert len(gradients.parameters["p0.0"]) == samples


def test_no_more_calls_are_in_flight_than_allowed():
    engine = ScriptedEngine(latency_s=0.002)
    backward_batch([(layers(f"s{at}", 1, 6), WRONG) for at in range(3)], engine, max_in_flight=4)
    assert engine.calls == 21
    assert 1 < engine.most_in_flight <= 4


def test_the_result_is_the_same_whatever_the_timing():
    def slow(order):
        def critic(request):
            time.sleep((hash((request.user, order)) % 5) / 1000)
            return feedback_for(request, request.user[-400:] + " {id}")

        return ScriptedEngine(critic)

    batch = [(layers(f"s{at}", 2, 3), WRONG) for at in (3, 1, 2)]
    results = [backward_batch(batch, slow(order), max_in_flight=flight) for order, flight in ((1, 16), (2, 16), (3, 1))]
    assert results[0] == results[1] == results[2]
    assert list(results[0].parameters) == list(results[1].parameters) == list(results[2].parameters)
    assert [g.sample_id for g in results[0].parameters["p1.0"]] == ["s3", "s1", "s2"]


def test_requests_are_the_same_twice():
    def requests():
        engine = ScriptedEngine()
        backward_batch([(layers(f"s{at}", 2, 3), WRONG) for at in range(3)], engine)
        return sorted(engine.requests, key=lambda request: request.user)

    assert requests() == requests()


def test_an_engine_that_fails_for_one_sample_leaves_the_others():
    def critic(request):
        if "bad 0 1" in request.user and "l0.n1" in request.user.split("\n")[1]:
            raise EngineUnavailable("timeout after 5 tries")
        return feedback_for(request)

    batch = [(layers(name, 2, 2), WRONG) for name in ("good", "bad", "fine")]
    gradients = backward_batch(batch, ScriptedEngine(critic))
    assert list(gradients.failed) == ["bad"]
    assert "timeout after 5 tries" in gradients.failed["bad"]
    assert {g.sample_id for found in gradients.parameters.values() for g in found} == {"good", "fine"}
    assert not any(label.startswith("bad/") for label in gradients.nodes)
    with pytest.raises(EngineUnavailable, match="timeout"):
        backward(batch[1][0], WRONG, ScriptedEngine(critic))


def test_an_engine_that_refuses_stops_everything():
    def critic(request):
        raise EngineRefused("unknown model")

    engine = ScriptedEngine(critic)
    with pytest.raises(EngineRefused, match="unknown model"):
        backward_batch([(layers(f"s{at}", 2, 2), WRONG) for at in range(4)], engine, max_in_flight=1)
    assert engine.calls < 4


def test_a_missing_rule_is_said_before_anything_is_paid():
    run = RunBuilder("s1")
    draft = run.llm("app.draft:chat", "x", messages=[run.prompt("app.task", "T")])
    run.call("app.sort", "x", kind="rerank", docs=draft)
    engine = ScriptedEngine()
    with pytest.raises(NoRule) as raised:
        backward_batch([(layers("s2", 1, 1), WRONG), (run.graph(), WRONG)], engine)
    assert engine.calls == 0
    message = str(raised.value)
    for part in ("'rerank'", "app.sort#0", "function, llm", 'tracediff.defbackward("rerank")'):
        assert part in message


def test_malformed_replies_are_asked_for_again_then_recorded():
    run = RunBuilder("s1")
    end = run.llm("app.a:chat", "x", messages=[run.prompt("app.task", "T")])
    good = '{"feedback": {"p1": "shorter"}, "no_cause": false}'
    engine = ScriptedEngine(["no JSON", '{"feedback": ["p1"]}', good])
    gradients = backward(run.graph(end), WRONG, engine)
    assert [g.feedback for g in gradients.parameters["app.task"]] == ["shorter"]
    assert gradients.engine_calls == 3
    assert [request.attempt for request in engine.requests] == [0, 1, 2]
    assert "no complete JSON object" in engine.requests[1].user

    engine = ScriptedEngine('{"feedback": {"p9": "shorter"}}')
    gradients = backward(run.graph(end), WRONG, engine, retries=1)
    assert engine.calls == 2
    assert not gradients.parameters
    (unread,) = gradients.unread
    assert unread.startswith("s1/app.a:chat#0: ")
    assert "p9" in unread


def test_a_malformed_loss_gradient_ends_the_sample_without_an_exception():
    run = RunBuilder("s1")
    end = run.llm("app.a:chat", "x", messages=[run.prompt("app.task", "T")])
    gradients = backward(run.graph(end), 0.0, ScriptedEngine("?"))
    assert gradients.engine_calls == 3
    assert not gradients.parameters
    assert gradients.unread[0].startswith("s1/loss at app.a:chat#0: ")


def test_engine_calls_are_suppressed():
    run = RunBuilder("s1")
    end = run.llm("app.a:chat", "x", messages=[run.prompt("app.task", "T")])
    scopes = []

    def critic(request):
        scopes.append(current_scope())
        return feedback_for(request)

    backward(run.graph(end), 0.0, ScriptedEngine(critic))
    assert [scope.is_suppressed for scope in scopes] == [True, True]


def test_a_failure_in_the_engine_itself_is_not_hidden():
    run = RunBuilder("s1")
    end = run.llm("app.a:chat", "x", messages=[run.prompt("app.task", "T")])
    with pytest.raises(ZeroDivisionError):
        backward(run.graph(end), WRONG, lambda request: EngineReply(str(1 / 0)))


def test_a_deep_chain_needs_no_recursion():
    run = RunBuilder("s1")
    text = run.llm("app.a:chat", "x", messages=[run.prompt("app.task", "T")])
    for at in range(1500):
        text = run.call(f"app.f{at}", "x", text=text)
    engine = ScriptedEngine()
    gradients = backward(run.graph(text), WRONG, engine, max_in_flight=2)
    assert engine.calls == 1
    assert [g.feedback for g in gradients.parameters["app.task"]] == ["change p1"]


def test_an_engine_may_be_named_and_a_wrong_one_is_told_in_words(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert backward(layers("s1", 1, 1), 1.0, "openai:some-model").engine_calls == 0
    with pytest.raises(UsageError, match="no engine 'nobody:x'"):
        backward(layers("s1", 1, 1), 0.0, "nobody:x")
    with pytest.raises(UsageError, match="an engine is a callable or a name .* not 3"):
        backward(layers("s1", 1, 1), 0.0, 3)
    with pytest.raises(UsageError, match=r"returns tracediff.engine.EngineReply\(text\), and .* returned str"):
        backward(layers("s1", 1, 1), 0.0, lambda request: "try harder")
