from __future__ import annotations

import pytest

from tracediff.graph.assembly import build
from tracediff.graph.links import Link
from tracediff.graph.names import named
from tracediff.testing import RunBuilder


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("app.answer", ("app.answer",)),
        ("answer", ("app.answer", "lib.answer")),
        ("app.plan", ("app.plan:chat",)),
        ("plan", ("app.plan:chat",)),
        ("plan:chat", ("app.plan:chat",)),
        ("swer", ()),
        ("chat", ()),
    ],
)
def test_a_site_is_named_in_full_or_by_its_end(said, found):
    assert named(said, ["app.answer", "app.answer:chat", "lib.answer", "app.plan:chat", "app.answer"]) == found


def graph_with(*links):
    run = RunBuilder()
    task = run.prompt("app.task", "Count the objects.")
    run.llm("app.answer:chat", "seven objects", messages=[task])
    return build(run.records(), links=links)


@pytest.mark.parametrize(
    ("stated", "note"),
    [
        (
            Link("taks", "answer", "messages", "skip"),
            "link('taks', 'answer.messages'): no call of this run is named 'taks'",
        ),
        (
            Link("task", "anser", "messages", "data"),
            "link('task', 'anser.messages'): no call of this run is named 'anser'",
        ),
        (
            Link("task", "answer", "mesages", "data"),
            "link('task', 'answer.mesages'): app.answer:chat has no argument 'mesages'; it has messages",
        ),
    ],
)
def test_a_link_that_names_nothing_is_noted_on_the_graph(stated, note):
    assert graph_with(stated).notes == (note,)


def test_a_link_names_a_model_call_by_its_function():
    graph = graph_with(Link("task", "answer", "messages", "skip"))
    assert [(edge.source.name, edge.target.name, edge.kind) for edge in graph.edges] == [
        ("app.task", "app.answer:chat", "skip")
    ]
    assert graph.notes == ()
