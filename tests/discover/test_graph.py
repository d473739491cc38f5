"""Discovered prompts as nodes of the graph."""

import tracediff as td
from tests.discover.conftest import shouted
from tracediff import discover
from tracediff.graph.runs import record


def graph_of(program, findings, candidate=None):
    with discover.discovered(findings.parameters), td.using(candidate or {}), record() as run:
        program.run(3)
    return run.graph()


def edges(graph):
    return {tuple(n.label.partition(".")[2] for n in (edge.source, edge.target)) for edge in graph.edges}


def test_a_discovered_prompt_feeds_the_model_call(found):
    program, findings = found("fstring")
    graph = graph_of(program, findings)
    assert edges(graph) == {("program.system#0", "program:chat#0"), ("program.user#0", "program:chat#0")}
    assert {edge.evidence for edge in graph.edges} == {"identity"}
    assert [p.text for p in graph.parameters] == [p.text for p in findings.parameters]


def test_a_reply_that_fills_a_slot_flows_through_the_prompt(found):
    program, findings = found("attribute")
    assert edges(graph_of(program, findings)) == {
        ("Agent.persona#0", "Agent.run:chat#0"),
        ("Agent.step#0", "Agent.run:chat#0"),
        ("Agent.run:chat#0", "Agent.step#1"),
        ("Agent.persona#1", "Agent.run:chat#1"),
        ("Agent.step#1", "Agent.run:chat#1"),
    }


def test_parts_of_one_text_all_feed_the_call_with_the_candidates_words(found):
    program, findings = found("claude")
    candidate = {p.name: shouted(p.text, p.variables) for p in findings.parameters}
    graph = graph_of(program, findings, candidate)
    assert edges(graph) == {
        ("GUIDE#0", "program.system#0"),
        ("program.system#0", "program:messages#0"),
        ("program.user#0", "program:messages#0"),
        ("program.description#0", "program:messages#0"),
    }
    assert {p.name: p.text for p in graph.parameters} == candidate


def test_a_frozen_prompt_is_no_node(found):
    from dataclasses import replace

    program, findings = found("fstring")
    frozen = [replace(p, status="frozen") for p in findings.parameters]
    with discover.discovered(frozen), record() as run:
        program.run(3)
    assert [r.kind for r in run.records] == ["llm"]
