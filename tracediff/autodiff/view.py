"""The part of one graph that a backward pass visits: from the trainable parameters to the losses, and its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tracediff.autodiff.gradients import GradientContext
from tracediff.autodiff.losses import Loss
from tracediff.autodiff.payload import MAX_ATTRIBUTE_CHARS, clip, output_text, text_of
from tracediff.graph.graph import ParameterGraph
from tracediff.graph.model import Edge, Node
from tracediff.scores import Score


class Input(NamedTuple):
    """A live input of a node: an edge whose source has a trainable parameter upstream."""

    argument: str
    source: Node
    kind: str
    """``data`` or ``skip``."""


class Seed(NamedTuple):
    """A loss, placed on the node where its feedback enters the graph."""

    node: Node
    source: str
    """``loss``, or ``loss:NAME`` for a loss on a named node."""
    score: float
    feedback: str
    """Empty: the engine has to be asked."""
    order: int
    """Losses speak after all nodes, in the order given."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the critic may know of the whole run."""

    score: float
    final: str
    expected: str


class View:
    """One graph as the backward pass sees it."""

    def __init__(self, graph: ParameterGraph, loss: Loss) -> None:
        self.graph = graph
        self.loss = loss
        self.nodes = graph.nodes
        self._by_id = {node.id: node for node in self.nodes}
        self.position = {node.id: at for at, node in enumerate(self.nodes)}
        self.trained: set[str] = set()
        """Ids of the nodes with a trainable parameter upstream, or their own."""
        for node in self.nodes:
            if is_trained(node) or any(edge.source.id in self.trained for edge in self.incoming(node)):
                self.trained.add(node.id)
        final = f"[the program raised {loss.error}]" if loss.error else output_text(graph.result)
        self.verdict = Verdict(loss.score, final, text_of(loss.ground_truth))

    def incoming(self, node: Node) -> tuple[Edge, ...]:
        """Return the edges into a node, by the position of their source."""
        return self.graph.predecessors(node)

    def inputs(self, node: Node) -> tuple[Input, ...]:
        """Return the live inputs of a node, each (argument, source) once."""
        found = (
            Input(edge.argument, edge.source, edge.kind)
            for edge in self.incoming(node)
            if edge.source.id in self.trained
        )
        return tuple({(item.argument, item.source.id): item for item in found}.values())

    def path(self, seeds: Iterable[Seed]) -> list[Node]:
        """Return the nodes on a path from a trainable parameter to a seed, last first."""
        reached = {seed.node.id for seed in seeds} & self.trained
        for node in reversed(self.nodes):
            if node.id in reached:
                reached.update(item.source.id for item in self.inputs(node))
        return [node for node in reversed(self.nodes) if node.id in reached]

    def description(self, node: Node) -> str:
        """Return what a node is for: its own description, else that of the nearest call around it."""
        around: Node | None = node
        while around is not None:
            if around.description:
                return clip(around.description, MAX_ATTRIBUTE_CHARS)
            around = self._by_id.get(around.parent or "")
        return ""

    def context(self, node: Node) -> GradientContext:
        """Return what feedback on the inputs of ``node`` is written about (eq. 6)."""
        return GradientContext(
            inputs={argument: text_of(value) for argument, value in node.inputs.items()},
            output=output_text(node.output),
            successor=node.label,
            description=self.description(node),
            ground_truth=self.verdict.expected,
            final_output=self.verdict.final,
        )


def is_trained(node: Node) -> bool:
    """Whether a node delivers a trainable parameter."""
    return node.parameter is not None and node.parameter.trainable


def place(view: View, threshold: float) -> tuple[list[Seed], list[str]]:
    """Return the losses below ``threshold`` on their nodes (eq. 1), and the doubts about it.

    The loss of a program that raised stands on the node that raised. A loss that no edge connects to a trainable
    parameter stands on the last calls that have one.
    """
    loss = view.loss
    placed: list[tuple[Node, str, Score]] = []
    notes: list[str] = []
    sample = view.graph.sample_id
    error = loss.error or _uncaught(view)
    if loss.score < threshold:
        feedback = f"The program failed with this error: {error}" if error else loss.feedback
        nodes = _raised(view, error) if error else [view.graph.output]
        nodes = [node for node in nodes if node.id in view.trained]
        if not nodes:
            nodes = _last(view)
            if nodes and not error:
                labels = ", ".join(node.label for node in nodes)
                notes.append(f"{sample}: no edge explains the final output; its loss was put on {labels}")
        if not nodes:
            notes.append(f"{sample}: no call of the run uses a trainable parameter")
        placed += [(node, "loss", Score(loss.score, feedback)) for node in nodes]
    for name, score in loss.node_scores():
        called = [node for node in view.nodes if name in (node.label, node.name) or node.name.endswith(f".{name}")]
        if not called:
            notes.append(f"{sample}: the loss on {name!r} found no call of that name in the run")
        if score.value < threshold:
            placed += [(node, f"loss:{name}", score) for node in called]
    seeds = [
        Seed(node, source, score.value, score.feedback, len(view.nodes) + at)
        for at, (node, source, score) in enumerate(placed)
    ]
    return seeds, notes


def _uncaught(view: View) -> str:
    """Return the error that ended the run, if its last outermost call raised and nothing says what the result is."""
    last = next((node for node in reversed(view.nodes) if node.parent is None and node.kind != "output"), None)
    output = view.graph.output
    is_inferred = view.graph.result is None or output.kind != "output"
    return last.error if last is not None and last.error and last is not output and is_inferred else ""


def _raised(view: View, error: str) -> list[Node]:
    """Return the innermost calls that the error left, the latest only."""
    left = [node for node in view.nodes if node.error == error]
    parents = {node.parent for node in left}
    return [node for node in left if node.id not in parents][-1:]


def _last(view: View) -> list[Node]:
    """Return the calls with a trainable parameter upstream whose output no other call read."""
    read = {item.source.id for node in view.nodes for item in view.inputs(node)}
    return list(_without(view, read))


def _without(view: View, read: set[str]) -> Iterator[Node]:
    """Yield the trained nodes outside ``read``; transparent containers and the output are no calls."""
    for node in view.nodes:
        if node.id in view.trained and node.id not in read and not node.is_container:
            yield node
