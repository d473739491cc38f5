"""Peers: which parameters feed the same LLM node, read from the graphs of a batch."""

from __future__ import annotations

from collections.abc import Iterable

from tracediff.graph.graph import ParameterGraph


def peers_of(graphs: Iterable[ParameterGraph]) -> dict[str, tuple[str, ...]]:
    """Return parameter name -> the other parameters whose prompts feed an LLM node that its own prompt feeds."""
    found: dict[str, dict[str, None]] = {}
    for graph in graphs:
        for node in graph.nodes:
            if node.kind != "llm":
                continue
            sources = (edge.source.parameter for edge in graph.predecessors(node))
            names = list(dict.fromkeys(parameter.name for parameter in sources if parameter is not None))
            for name in names:
                found.setdefault(name, {}).update(dict.fromkeys(other for other in names if other != name))
    return {name: tuple(others) for name, others in found.items()}
