"""ParameterGraph: nodes, edges and parameters of one run, unrolled in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tracediff.capture.values import Value
from tracediff.graph.reasons import Reason
from tracediff.parameters import Parameter


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One call of one site. Compared by identity; ``id`` is unique in the graph."""

    id: str
    name: str
    kind: str
    index: int
    """Which call of that name in the run, from 0, in order of start."""
    inputs: Mapping[str, Value]
    output: Value
    parameter: Parameter | None = None
    description: str = ""
    error: str | None = None
    parent: str | None = None
    """Id of the enclosing node: structure for pictures, never evidence."""
    is_container: bool = False
    """It has children and adds no text of its own: data flows through its children."""
    attributes: Mapping[str, Value] | None = None

    @property
    def label(self) -> str:
        """``name#index``, the name people and prompts use for a node."""
        return f"{self.name}#{self.index}"


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """Text (or an object) of ``source``'s output stands in ``target``'s input ``argument``."""

    source: Node
    target: Node
    argument: str
    evidence: str
    """``identity``, ``id``, ``leaf``, ``cover``, ``slot``, ``inside`` (a child of a call with own text) or ``link``."""
    confidence: float
    """Probability in [0, 1] that the edge is true; calibrated over the test programs."""
    kind: str = "data"
    """``data`` or ``skip`` (stated with ``td.link``)."""
    reason: Reason | None = None

    @property
    def detail(self) -> str:
        """Which text and where, for ``explain``, in words."""
        return "" if self.reason is None else self.reason.words(self.source.label)
