"""Which functions of a program stand between its model calls: read from the graphs of a few runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from tracediff.capture.records import SpanRecord
from tracediff.discover.steps import Step
from tracediff.graph.graph import ParameterGraph
from tracediff.graph.runs import Run

_RETRIEVES = re.compile(r"retriev|search|look_?up|fetch", re.IGNORECASE)


def steps_between_calls(runs: Sequence[Run], functions: Sequence[Step]) -> tuple[Step, ...]:
    """Return those of ``functions`` that carry what a model said to another call, or to the result; by first use.

    All of ``functions`` were recorded. A function that calls a model is no step, nor is what a step calls within.
    """
    known = {step.name: step for step in functions}
    found: dict[str, Step] = {}
    for run in runs:
        for name in _carriers(run, known.keys()):
            kind = "retriever" if _RETRIEVES.search(name.rpartition(".")[2]) else "function"
            found.setdefault(name, replace(known[name], kind=kind))
    return tuple(found.values())


def _carriers(run: Run, names: AbstractSet[str]) -> Iterator[str]:
    """Yield the functions on a way from a model's reply to another call or to the result."""
    records = list(_outermost(run.records, names))
    ids = {record.id for record in records}
    refs = [ref for ref in run.output_refs if ref.source in ids]
    graph = ParameterGraph.from_records(records, output=run.output, output_refs=refs)
    calls = [node for node in graph.nodes if node.kind == "llm"]
    read = {node.id for end in (*calls, graph.output) for node in graph.ancestors(end)} | {graph.output.id}
    for node in graph.nodes:
        if node.name in names and node.id in read and any(other.kind == "llm" for other in graph.ancestors(node)):
            yield node.name


def _outermost(records: Sequence[SpanRecord], names: AbstractSet[str]) -> Iterator[SpanRecord]:
    """Yield the records without the functions around a model call, and without what a function calls within."""
    by_id = {record.id: record for record in records}
    around: set[str] = set()
    for record in records:
        if record.name not in names:
            around.update(_above(record, by_id))
    kept = {
        record.id
        for record in records
        if record.name not in names
        or (record.id not in around and all(above in around for above in _above(record, by_id)))
    }
    for record in records:
        if record.id in kept:
            parent = next((above for above in _above(record, by_id) if above in kept), None)
            refs = tuple(ref for ref in record.refs if ref.source in kept)
            yield replace(record, parent_id=parent, refs=refs)


def _above(record: SpanRecord, by_id: dict[str, SpanRecord]) -> Iterator[str]:
    """Yield the ids of the calls around a call, innermost first."""
    parent = record.parent_id
    while parent is not None and parent in by_id:
        yield parent
        parent = by_id[parent].parent_id
