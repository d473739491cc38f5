"""What is shipped for users' tests."""

from __future__ import annotations

import pytest

from tracediff.engine import EngineReply, EngineRequest
from tracediff.errors import EngineUnavailable
from tracediff.graph import ParameterGraph
from tracediff.testing import RunBuilder, ScriptedEngine


def request(user: str) -> EngineRequest:
    return EngineRequest("backward", "system", user)


def test_scripts_of_every_form():
    assert ScriptedEngine("always")(request("a")).text == "always"
    assert ScriptedEngine({"cats": {"n": 1}})(request("two cats")).text == '{"n": 1}'
    assert ScriptedEngine(lambda asked: asked.user.upper())(request("a")).text == "A"
    engine = ScriptedEngine(["one", EngineReply("two", 3, 4), EngineUnavailable("down")])
    assert engine(request("a")).text == "one"
    assert engine(request("b")).output_tokens == 4
    with pytest.raises(EngineUnavailable):
        engine(request("c"))
    assert engine.calls == 3
    assert [asked.user for asked in engine.requests] == ["a", "b", "c"]
    assert engine.in_flight == 0
    with pytest.raises(AssertionError, match="request 4"):
        engine(request("d"))
    with pytest.raises(AssertionError, match="no piece"):
        ScriptedEngine({"cats": "x"})(request("dogs"))


def test_a_run_by_hand_has_records_that_make_the_same_graph():
    run = RunBuilder("s1")
    task = run.prompt("app.task", "Count every object that stands in the list below.")
    answer = run.llm("app.answer:chat", "There are seven objects", messages=[task, "two cats and five dogs"])
    run.call("app.parse", 7, text=answer)
    stated = run.graph()
    built = ParameterGraph.from_records(run.records(), sample_id="s1")
    assert [node.label for node in built.nodes] == [node.label for node in stated.nodes]
    assert {(e.source.id, e.target.id, e.argument) for e in built.edges} == {
        (e.source.id, e.target.id, e.argument) for e in stated.edges
    }
    assert [parameter.name for parameter in built.parameters] == ["app.task"]


def test_calls_of_one_site_are_counted_and_inputs_hold_what_nodes_put_out():
    run = RunBuilder()
    first = run.prompt("app.ask", "Q {question}", question="one?")
    second = run.prompt("app.ask", "Q {question}", question="two?")
    both = run.call("app.both", None, parts=[{"a": first}, (second, 3)])
    assert (first.label, second.label) == ("app.ask#0", "app.ask#1")
    assert both.inputs == {"parts": [{"a": "Q one?"}, ("Q two?", 3)]}
    assert first.parameter.variables == ("question",)
