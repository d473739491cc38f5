"""The graph of each program has the edges that are written beside it."""

import pytest

import tracediff as td
from tests.integrations.langchain.conftest import NAMES


def parsed(text):
    edges, output = set(), set()
    for line in text.strip().splitlines():
        if line.startswith("output "):
            output = set(line.split()[1:])
        else:
            edges.add(tuple(line.split(" -> ")))
    return edges, output


def inferred(run, labels=()):
    graph = run.graph()
    order = {record.id: record.start for record in run.records}
    models = sorted((n for n in graph.nodes if n.kind == "llm"), key=lambda n: order[n.id])
    named = {node.id: f"{node.name}#{node.index}" for node in graph.nodes}
    named.update({node.id: f"llm#{at}" for at, node in enumerate(models)})
    for node in graph.nodes:
        for word in labels:
            if str(node.output).find(word) >= 0 and not node.is_container:
                named[node.id] = f"{'llm' if node.kind == 'llm' else node.name}:{labels[word]}"
    edges = {(named[e.source.id], named[e.target.id]) for e in graph.edges if e.target.kind != "output"}
    if graph.output.kind == "output":
        output = {named[edge.source.id] for edge in graph.predecessors(graph.output)}
    else:
        output = {named[graph.output.id]}
    return edges, output, graph


@pytest.mark.parametrize("name", NAMES)
def test_true_edges(load, name):
    module = load(name)
    td.instrument()
    _, run = td.trace(module.program, module.INPUTS[0])
    edges, output = parsed(module.EDGES)
    found, found_output, graph = inferred(run, getattr(module, "LABELS", {}))
    told = "\n".join(graph.explain(edge) for edge in graph.edges)
    assert (found - edges, edges - found, found_output) == (set(), set(), output), told
