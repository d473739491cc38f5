"""A graph without its texts, as JSON: what a run's span says of its edges where content may not leave.

Names of sites, arguments and parameters are structure; values, errors' messages, evidence in words and doubts are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tracediff.capture.content import clean
from tracediff.capture.records import SpanRecord
from tracediff.capture.values import Value
from tracediff.errors import DataError
from tracediff.graph.graph import ParameterGraph
from tracediff.graph.model import Edge, Node
from tracediff.parameters import Parameter

MAX_INFERRED = 1_000
"""Calls of a run whose edges are inferred for its span: about 50 us of the program's CPU each, when the run ends."""


def to_text(graph: ParameterGraph) -> str:
    """Return nodes and edges of ``graph`` as one line of JSON."""
    position = {node.id: i for i, node in enumerate(graph.nodes)}
    tree = {
        "nodes": [
            [node.id, clean(node.name), clean(node.kind), node.index, node.parent, node.is_container, _named(node)]
            for node in graph.nodes
        ],
        "errors": {node.id: clean(node.error.partition(":")[0]) for node in graph.nodes if node.error is not None},
        "edges": [
            [position[edge.source.id], position[edge.target.id], clean(edge.argument), edge.evidence,
             round(edge.confidence, 6), edge.kind]
            for edge in graph.edges
        ],
        "output": position[graph.output.id],
    }  # fmt: skip
    return orjson.dumps(tree).decode()


def _named(node: Node) -> list[Any] | None:
    """Return what a prompt's node says of its parameter: its name, variables, and whether it is trained."""
    parameter = node.parameter
    if parameter is None:
        return None
    return [clean(parameter.name), [clean(name) for name in parameter.variables], parameter.trainable]


def from_text(
    text: str,
    *,
    records: Mapping[str, SpanRecord],
    run_id: str,
    sample_id: str = "",
    result: Value = None,
    notes: tuple[str, ...] = (),
) -> ParameterGraph:
    """Return the graph that ``to_text`` wrote; ``records`` give values to the nodes whose record came with content.

    Raises DataError when the text was cut or is none.
    """
    try:
        tree = orjson.loads(text)
        errors = tree["errors"]
        nodes = [_node(item, errors.get(item[0]), records.get(item[0])) for item in tree["nodes"]]
        edges = [
            Edge(nodes[source], nodes[target], argument, evidence, float(confidence), kind)
            for source, target, argument, evidence, confidence, kind in tree["edges"]
        ]
        output = nodes[tree["output"]]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise DataError(f"the edges of run {run_id} did not arrive whole: {error}") from None
    parameters: dict[str, Parameter] = {}
    for node in nodes:
        if node.parameter is not None:
            parameters.setdefault(node.parameter.name, node.parameter)
    return ParameterGraph(
        nodes=tuple(nodes),
        edges=tuple(edges),
        parameters=tuple(parameters.values()),
        output=output,
        result=result,
        run_id=run_id,
        sample_id=sample_id,
        notes=notes,
    )


def _node(item: list[Any], error: str | None, record: SpanRecord | None) -> Node:
    identity, name, kind, index, parent, is_container, named = item
    parameter = None if named is None else Parameter(named[0], "", tuple(named[1]), trainable=bool(named[2]))
    if record is None:
        return Node(identity, name, kind, int(index), {}, None, parameter, "", error, parent, bool(is_container))
    return Node(
        id=identity,
        name=name,
        kind=kind,
        index=int(index),
        inputs=record.inputs,
        output=record.output,
        parameter=record.parameter or parameter,
        description=record.description,
        error=record.error,
        parent=parent,
        is_container=bool(is_container),
        attributes=record.attributes,
    )
