"""Rules of users: their own kinds, their own functions, and what a bad one is told."""

from __future__ import annotations

import pytest

from tracediff import capture
from tracediff.autodiff import backward, defbackward, rules
from tracediff.capture import functional_node, trainable_prompt
from tracediff.errors import NoRule, UsageError
from tracediff.graph.runs import record
from tracediff.scores import Score
from tracediff.testing import RunBuilder, ScriptedEngine, check_rule

WRONG = Score(0.5, "wrong")


@pytest.fixture(autouse=True)
def own_table(monkeypatch):
    monkeypatch.setattr(rules, "_RULES", dict(rules._RULES))


def reranked():
    run = RunBuilder("s1")
    query = run.llm("app.query:chat", "q", messages=[run.prompt("app.ask", "Ask.")])
    docs = run.llm("app.docs:chat", "d", messages=[run.prompt("app.write", "Write.")])
    return run.graph(run.call("app.rerank", "d", kind="rerank", query=query, docs=docs, top_k=3))


def test_an_own_kind_divides_feedback_without_the_engine():
    seen = []

    @defbackward("rerank")
    def rerank(node, feedbacks, inputs):
        seen.append((node.label, [f.feedback for f in feedbacks], dict(inputs)))
        return {"query": f"after reranking: {feedbacks[0].feedback}", "docs": None}

    engine = ScriptedEngine()
    gradients = backward(reranked(), WRONG, engine)
    assert seen == [("app.rerank#0", ["wrong"], {"query": "q", "docs": "d"})]  # top_k is no live input
    assert engine.calls == 1
    assert "after reranking: wrong" in engine.requests[0].user
    assert set(gradients.parameters) == {"app.ask"}
    assert gradients.parameters["app.ask"][0].score == 0.5


def test_an_own_kind_can_take_the_rule_of_a_known_one():
    defbackward("rerank", like="function")
    engine = ScriptedEngine()
    backward(reranked(), WRONG, engine)
    assert engine.calls == 3
    with pytest.raises(UsageError, match="'nothing'"):
        defbackward("other", like="nothing")


def test_a_second_rule_for_a_kind_is_refused():
    with pytest.raises(UsageError, match="'llm' already"):
        defbackward("llm")(lambda node, feedbacks, inputs: {})
    with pytest.raises(UsageError, match="'tool' already"):
        defbackward("tool", like="function")


def test_a_sites_own_rule_comes_first(monkeypatch):
    own = {"app.rerank": lambda node, feedbacks, inputs: {"docs": "own"}}
    monkeypatch.setattr(capture, "site_rule", own.get)
    engine = ScriptedEngine()
    gradients = backward(reranked(), WRONG, engine)
    assert set(gradients.parameters) == {"app.write"}
    assert engine.calls == 1


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"top_k": "more"}, "'top_k', which is no live input"),
        ({"query": 3}, "int for 'query'"),
        (["query"], "returned list"),
        (None, "returned NoneType"),
    ],
)
def test_a_bad_answer_of_a_rule_is_told(found, said):
    defbackward("rerank")(lambda node, feedbacks, inputs: found)
    with pytest.raises(UsageError, match="app.rerank#0") as raised:
        backward(reranked(), WRONG, ScriptedEngine())
    assert said in str(raised.value)


def test_a_rule_that_raises_is_named():
    @defbackward("rerank")
    def rerank(node, feedbacks, inputs):
        return inputs["missing"]

    with pytest.raises(UsageError, match="app.rerank#0 raised KeyError") as raised:
        backward(reranked(), WRONG, ScriptedEngine())
    assert isinstance(raised.value.__cause__, KeyError)


def test_check_rule_passes_a_sound_rule_and_catches_unsound_ones():
    def sound(node, feedbacks, inputs):
        return {argument: feedbacks[0].feedback for argument in inputs}

    assert check_rule(sound, {"query": "q", "docs": ["a"]}, feedbacks=["too few"]) == {
        "query": "too few",
        "docs": "too few",
    }
    counter = iter(range(100))
    with pytest.raises(AssertionError, match="deterministic"):
        check_rule(lambda n, f, i: {"query": f"{next(counter)}"}, {"query": "q"})
    with pytest.raises(UsageError, match="no live input"):
        check_rule(lambda n, f, i: {"query": "x"}, {"query": "q", "docs": "d"})  # also when query is not live

    def changing(node, feedbacks, inputs):
        inputs["docs"].append("b")
        return {}

    with pytest.raises(AssertionError, match="changed its inputs"):
        check_rule(changing, {"docs": ["a"]})


def by_length(node, feedbacks, inputs):
    longest = max(inputs, key=lambda argument: len(str(inputs[argument])))
    return {longest: f"cut {longest}: {feedbacks[0].feedback}"}


@functional_node(backward=by_length)
def merge(left: str, right: str, separator: str = " ") -> str:
    """Joins two texts."""
    return left + separator + right


@functional_node(kind="blend")
def blend(left: str, right: str) -> str:
    return left + " and " + right


@trainable_prompt
def first() -> str:
    return "Write a short greeting for the guests of the evening"


@trainable_prompt
def second() -> str:
    return "Write a long farewell for all guests of the whole evening"


def test_a_decorated_function_with_its_own_rule_is_used_from_a_recorded_run():
    with record(sample_id="s1") as run:
        run.set_output(merge(first(), second()))
    engine = ScriptedEngine()
    gradients = backward(run.graph(), WRONG, engine)
    assert engine.calls == 0
    assert {name: [g.feedback for g in found] for name, found in gradients.parameters.items()} == {
        f"{__name__}.second": ["cut right: wrong"]
    }


def test_a_missing_rule_of_a_decorated_function_says_where_it_stands():
    with record(sample_id="s1") as run:
        run.set_output(blend(first(), second()))
    with pytest.raises(NoRule, match=r"blend#0, .*test_rules\.py:\d+\)"):
        backward(run.graph(), WRONG, ScriptedEngine())
