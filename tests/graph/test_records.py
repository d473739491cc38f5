"""Records that are damaged, strange or stated on: the graph stays a graph, and says why each edge is there."""

from __future__ import annotations

import dataclasses

import pytest

import tracediff as td
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.values import Obj, Placeholder
from tracediff.errors import UsageError
from tracediff.graph import Edge, build
from tracediff.graph.links import Link, link, stated, unlink

LONG = "The old mill by the river was sold to a couple from Ghent last spring."


def record(number, name, inputs, output, *, start=None, end=None, parent=None, kind="function", **more):
    start = number * 10 if start is None else start
    return SpanRecord(
        id=f"{number:016x}",
        run_id="r",
        parent_id=None if parent is None else f"{parent:016x}",
        name=name,
        kind=kind,
        start=start,
        end=start + 1 if end is None else end,
        start_ns=0,
        end_ns=0,
        inputs=inputs,
        output=output,
        **more,
    )


def pairs(graph):
    return [(edge.source.label, edge.target.label, edge.argument) for edge in graph.edges]


def test_order_comes_from_sequence_numbers_not_from_clocks():
    one = record(1, "a", {}, LONG)
    two = dataclasses.replace(record(2, "b", {"text": "Read: " + LONG}, "x"), start_ns=-5, end_ns=-9)
    assert pairs(build([two, one])) == [("a#0", "b#0", "text")]


def test_a_missing_parent_a_duplicate_and_an_end_before_its_start_do_no_harm():
    one = record(1, "a", {}, LONG, parent=77)
    two = record(2, "b", {"text": LONG}, "fine words that nobody else has said", end=3)
    graph = build([two, one, one, two])
    assert [node.label for node in graph.nodes] == ["a#0", "b#0"]
    assert pairs(graph) == [("a#0", "b#0", "text")]


def test_parents_in_a_circle_are_cut():
    one = record(1, "a", {}, LONG, parent=2)
    two = record(2, "b", {"text": LONG}, "done and dusted for today", parent=1)
    assert len(build([one, two]).nodes) == 2


def test_a_later_output_never_explains_an_earlier_input():
    assert pairs(build([record(1, "a", {"text": LONG}, "ok"), record(2, "b", {}, LONG)])) == []


def test_deep_nesting_is_no_problem():
    count = 5000
    records = [
        record(i, "deep", {"depth": i}, LONG, start=i, end=3 * count - i, parent=i - 1 if i > 1 else None)
        for i in range(1, count)
    ]
    graph = build(records)
    assert graph.output.index == count - 2
    assert sum(node.is_container for node in graph.nodes) == count - 2


def test_no_records_and_no_output():
    graph = build([])
    assert graph.output.kind == "output"
    assert graph.edges == ()
    assert graph.to_json()["nodes"][0]["kind"] == "output"


def test_the_parts_of_a_result_come_from_several_calls():
    one, two = record(1, "a", {}, LONG), record(2, "b", {}, "A second text that says something else.")
    graph = build([one, two], output={"first": LONG, "second": "A second text that says something else."})
    assert graph.output.kind == "output"
    assert [edge.source.label for edge in graph.predecessors(graph.output)] == ["a#0", "b#0"]
    assert graph.nodes[-1] is graph.output


def test_the_result_of_one_call_is_that_call():
    graph = build([record(1, "a", {}, LONG), record(2, "b", {}, "nothing of it")], output=f"Result: {LONG}")
    assert graph.output.label == "a#0"


def test_a_result_computed_outside_gathers_what_nothing_used():
    records = [record(1, "a", {}, LONG), record(2, "b", {"text": LONG}, "It is sold to them.")]
    assert build(records, output=3).output.label == "b#0"
    more = [*records, record(3, "c", {"text": LONG}, "Two people from Ghent.")]
    graph = build(more, output=3)
    assert [edge.source.label for edge in graph.predecessors(graph.output)] == ["b#0", "c#0"]
    assert graph.edges[-1].confidence < 0.9


def test_a_container_with_text_of_its_own_is_a_node():
    prompt = record(2, "inner", {}, "Say something about the mill that was sold.", parent=1, kind="prompt")
    outer = record(1, "llm", {"question": "What about it?"}, LONG, end=99)
    after = record(20, "use", {"text": LONG}, "ok")
    graph = build([outer, prompt, after])
    assert pairs(graph) == [("inner#0", "llm#0", "inner"), ("llm#0", "use#0", "text")]
    assert not any(node.is_container for node in graph.nodes)


def test_an_opaque_object_is_followed_by_its_identity():
    refs = (Ref("index", f"{1:016x}", "", 1),)
    one = record(1, "open", {}, Placeholder("Index"))
    two = record(2, "query", {"index": Placeholder("Index")}, "found", refs=refs)
    assert pairs(build([one, two])) == [("open#0", "query#0", "index")]


def test_a_list_of_flags_is_a_value_too():
    two = record(2, "b", {"flags": [True, False]}, "x", refs=(Ref("flags", f"{1:016x}", "", 1),))
    assert pairs(build([record(1, "a", {}, [True, False]), two])) == [("a#0", "b#0", "flags")]


def test_an_interned_word_is_no_proof():
    refs = (Ref("mode", f"{1:016x}", "", 1),)
    records = [
        record(0, "b", {"mode": "fast"}, "x"),
        record(1, "a", {}, "fast"),
        record(2, "b", {"mode": "fast"}, "x", refs=refs),
    ]
    assert pairs(build(records)) == []


def test_a_tool_result_points_back_at_its_call():
    call = {"id": "call_77", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    one = record(
        1, "chat", {}, Obj("Message", {"role": "assistant", "content": None, "tool_calls": [call]}), kind="llm"
    )
    two = record(
        2, "chat", {"messages": [{"role": "tool", "tool_call_id": "call_77", "content": "4"}]}, "ok", kind="llm"
    )
    (edge,) = build([one, two]).edges
    assert (edge.evidence, edge.source.label) == ("id", "chat#0")


def test_explain_names_the_text_the_place_and_the_rejected():
    records = [record(1, "a", {}, LONG), record(2, "b", {}, LONG), record(3, "c", {"note": LONG}, "x")]
    graph = build(records)
    words = graph.explain(graph.edges[0])
    assert "b#0 -> c#0.note" in words
    assert "The old mill" in words
    assert "rejected as earlier: a#0" in words


def test_text_that_varies_and_has_no_source_is_noted():
    records = [
        record(i, "ask", {"text": f"{LONG} Case {word} of today."}, "x") for i, word in ((1, "seven"), (2, "nine"))
    ]
    (note,) = build(records).notes
    assert note.startswith("ask, text: text that varies between calls has no known source")


def test_a_stated_link_replaces_what_was_inferred():
    records = [
        record(1, "app.combine", {}, "a"),
        record(2, "app.other", {}, "b"),
        record(3, "app.planner", {"task": LONG}, "c"),
    ]
    graph = build(records, links=[Link("combine", "planner", "task", "skip")])
    (edge,) = graph.edges
    assert (edge.evidence, edge.kind, edge.confidence, edge.source.name) == ("link", "skip", 1.0, "app.combine")


def test_links_are_refused_when_they_can_not_be_meant():
    with pytest.raises(UsageError, match="site.argument"):
        td.link("combine", "planner")
    with pytest.raises(UsageError, match="kind must be"):
        link("combine", "planner.task", kind="back")
    records = [
        record(1, "a.combine", {}, "a"),
        record(2, "b.combine", {}, "b"),
        record(3, "app.planner", {"task": "x"}, "c"),
    ]
    with pytest.raises(UsageError, match="several sites"):
        build(records, links=[Link("combine", "planner", "task", "data")])


def test_link_and_unlink():
    link("combine", "planner.task")
    try:
        assert stated()[-1] == Link("combine", "planner", "task", "data")
    finally:
        unlink("combine", "planner.task")
    assert not any(item.source == "combine" for item in stated())


def test_ancestors_are_in_order_and_edges_know_their_nodes():
    records = [
        record(1, "a", {}, LONG),
        record(2, "b", {"x": LONG}, "B says a thing of its own."),
        record(3, "c", {"y": "B says a thing of its own."}, "z"),
    ]
    graph = build(records)
    assert [node.label for node in graph.ancestors(graph.nodes[2])] == ["a#0", "b#0"]
    assert all(isinstance(edge, Edge) and edge in graph.successors(edge.source) for edge in graph.edges)
