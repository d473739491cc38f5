"""ParameterGraph: what the backward pass walks, what people look at, what two processes compare."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.values import Value
from tracediff.graph.model import Edge, Node
from tracediff.parameters import Parameter


@dataclass(frozen=True, slots=True, eq=False)
class ParameterGraph:
    """The calls of one run and which output stood in which input."""

    nodes: tuple[Node, ...]
    """Sources first; by start where the edges leave a choice."""
    edges: tuple[Edge, ...]
    """By target, then source, then argument."""
    parameters: tuple[Parameter, ...]
    """Distinct by name, in order of first use."""
    output: Node
    """The node whose output is the run's, or a last node of kind ``output`` that gathers several."""
    result: Value = None
    """Snapshot of the run's final output."""
    run_id: str = ""
    sample_id: str = ""
    notes: tuple[str, ...] = ()
    """Doubts in words: text with no known source, context that was lost, links that name nothing."""
    error: str = ""
    """``TypeName: message`` of the exception that ended the program, where the recording saw it."""
    _in: dict[str, list[Edge]] = field(init=False, repr=False)
    _out: dict[str, list[Edge]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Index the edges by node."""
        into: dict[str, list[Edge]] = {}
        out: dict[str, list[Edge]] = {}
        for edge in self.edges:
            into.setdefault(edge.target.id, []).append(edge)
            out.setdefault(edge.source.id, []).append(edge)
        object.__setattr__(self, "_in", into)
        object.__setattr__(self, "_out", out)

    def predecessors(self, node: Node) -> tuple[Edge, ...]:
        """Return the edges into ``node``, in edge order."""
        return tuple(self._in.get(node.id, ()))

    def successors(self, node: Node) -> tuple[Edge, ...]:
        """Return the edges out of ``node``, in edge order."""
        return tuple(self._out.get(node.id, ()))

    def ancestors(self, node: Node) -> tuple[Node, ...]:
        """Return every node from which ``node`` can be reached, in topological order, without ``node``."""
        seen = {node.id}
        stack = [node.id]
        while stack:
            for edge in self._in.get(stack.pop(), ()):
                if edge.source.id not in seen:
                    seen.add(edge.source.id)
                    stack.append(edge.source.id)
        return tuple(other for other in self.nodes if other.id in seen and other is not node)

    def explain(self, edge: Edge) -> str:
        """Return in words why ``edge`` is there: which text, where, how sure, and what was rejected."""
        sure = f"{edge.confidence:.2f}"
        head = f"{edge.source.label} -> {edge.target.label}.{edge.argument}: {edge.evidence}, confidence {sure}"
        return f"{head}\n{edge.detail}." if edge.detail else head

    def to_json(self) -> dict[str, Any]:
        """Return the graph as plain data; two graphs are identical if and only if these are equal."""
        from tracediff.graph.canonical import plain

        return {
            "run_id": self.run_id,
            "sample_id": self.sample_id,
            "nodes": [
                {
                    "id": node.id,
                    "name": node.name,
                    "kind": node.kind,
                    "index": node.index,
                    "parent": node.parent,
                    "is_container": node.is_container,
                    "parameter": None if node.parameter is None else node.parameter.name,
                    "description": node.description,
                    "error": node.error,
                    "inputs": plain(node.inputs),
                    "output": plain(node.output),
                }
                for node in self.nodes
            ],
            "edges": [
                {
                    "source": edge.source.id,
                    "target": edge.target.id,
                    "argument": edge.argument,
                    "evidence": edge.evidence,
                    "confidence": round(edge.confidence, 6),
                    "kind": edge.kind,
                    "detail": edge.detail,
                }
                for edge in self.edges
            ],
            "parameters": [
                {"name": item.name, "text": item.text, "variables": list(item.variables), "role": item.role}
                for item in self.parameters
            ],
            "output": self.output.id,
            "result": plain(self.result),
            "notes": list(self.notes),
            "error": self.error,
        }

    @classmethod
    def from_records(
        cls,
        records: Iterable[SpanRecord],
        *,
        output: Value = None,
        output_refs: Sequence[Ref] = (),
        sample_id: str = "",
        run_id: str = "",
    ) -> ParameterGraph:
        """Return the graph of the records of one run, in any order."""
        from tracediff.graph.assembly import build

        return build(records, output=output, output_refs=output_refs, sample_id=sample_id, run_id=run_id)

    @classmethod
    def from_jsonl(cls, path: str | os.PathLike[str]) -> ParameterGraph:
        """Return the graph of a run file that ``Run.save`` wrote. Raises DataError when it can't be read."""
        from tracediff.graph.runs import Run  # type: ignore[import-not-found,unused-ignore]

        loaded: ParameterGraph = Run.load(Path(path)).graph()
        return loaded

    @classmethod
    def from_otlp(cls, source: str | os.PathLike[str] | Mapping[str, Any], run_id: str | None = None) -> ParameterGraph:
        """Return the graph of a run from exported spans: OTLP JSON, one document or one a line, in any order.

        With content export on it is the graph of the process; without, what was inferred there, without values.
        Spans of other GenAI instrumentations stand in where tracediff's are absent. ``notes`` say what is missing.
        Raises DataError when it can't be read, or holds several runs and ``run_id`` names none of them.
        """
        from tracediff.graph.otlp import graph_in

        return graph_in(source, run_id)
