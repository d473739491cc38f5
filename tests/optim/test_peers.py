"""Peers: the parameters that feed the same LLM node."""

from tracediff.optim.peers import peers_of
from tracediff.testing import RunBuilder


def test_parameters_of_one_model_call_are_peers_and_others_are_not():
    run = RunBuilder("s1")
    task, style = run.prompt("app.task", "Count."), run.prompt("app.style", "Be kind.")
    query = run.prompt("app.query", "Ask.")
    asked = run.llm("app.ask:chat", "q", messages=[query])
    docs = run.call("app.retrieve", ["d"], query=asked)
    run.llm("app.answer:chat", "7", messages=[task, style, docs])
    assert peers_of([run.graph()]) == {
        "app.task": ("app.style",),
        "app.style": ("app.task",),
        "app.query": (),
    }


def test_the_calls_of_all_runs_count():
    first, second = RunBuilder("s1"), RunBuilder("s2")
    first.llm("app.answer:chat", "7", messages=[first.prompt("a", "A."), first.prompt("b", "B.")])
    second.llm("app.answer:chat", "7", messages=[second.prompt("a", "A."), second.prompt("c", "C.")])
    assert peers_of([first.graph(), second.graph()])["a"] == ("b", "c")
