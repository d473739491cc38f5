"""The part of one graph that a backward pass visits: from the trainable parameters to the losses, and its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tracediff.autodiff.gradients import GradientContext
from tracediff.autodiff.losses import Loss
from tracediff.autodiff.payload import MAX_ATTRIBUTE_CHARS, clip, output_text, text_of
from tracediff.graph.graph import ParameterGraph
from tracediff.graph.model import Edge, Node
from tracediff.graph.names import named
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
        self.error = loss.error or uncaught(graph)
        """What ended the program, if it raised."""
        final = f"[the program raised {self.error}]" if self.error else output_text(graph.result)
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

    The loss of a program that raised stands on the call that raised. A loss that no edge connects to a trainable
    parameter stands on the last calls that have one.
    """
    loss, sample = view.loss, view.graph.sample_id
    placed: list[tuple[Node, str, Score]] = []
    notes: list[str] = []
    if loss.score < threshold:
        feedback = f"The program failed with this error: {view.error}" if view.error else loss.feedback
        nodes = _final(view)
        if not nodes:
            nodes = _last(view, view.nodes)
            labels = ", ".join(node.label for node in nodes)
            if not nodes:
                notes.append(f"{sample}: no call of the run uses a trainable parameter")
            elif not view.error:
                notes.append(f"{sample}: no edge explains the final output; its loss was put on {labels}")
        placed += [(node, "loss", Score(loss.score, feedback)) for node in nodes]
    for name, score in loss.node_scores():
        called = _called(view, name)
        nodes = list(dict.fromkeys(found for node in called for found in _carriers(view, node)))
        if not called:
            notes.append(f"{sample}: the loss on {name!r} found no call of that name in the run")
        elif not nodes:
            notes.append(f"{sample}: the loss on {name!r} has no trainable parameter before it")
        if score.value < threshold:
            placed += [(node, f"loss:{name}", score) for node in nodes]
    seeds = [
        Seed(node, source, score.value, score.feedback, len(view.nodes) + at)
        for at, (node, source, score) in enumerate(placed)
    ]
    return seeds, notes


def uncaught(graph: ParameterGraph) -> str:
    """Return the error that ended a run: as it was recorded, else its last outermost call's if there is no result."""
    if graph.error:
        return graph.error
    last = next((node for node in reversed(graph.nodes) if node.parent is None and node.kind != "output"), None)
    return last.error if last is not None and last.error and graph.result is None else ""


def _called(view: View, said: str) -> list[Node]:
    """Return the calls of the sites that ``said`` names; of a label ``site#index`` that call alone."""
    site, _, index = said.rpartition("#")
    if site and index.isdigit():
        sites = named(site, (node.name for node in view.nodes))
        return [node for node in view.nodes if node.name in sites and node.index == int(index)]
    sites = named(said, (node.name for node in view.nodes))
    return [node for node in view.nodes if node.name in sites]


def _final(view: View) -> list[Node]:
    """Return the calls that carry the final loss: those of the output, or the innermost that the error left."""
    if not view.error:
        return _carriers(view, view.graph.output)
    left = [node for node in view.nodes if node.error == view.error]
    parents = {node.parent for node in left}
    return [found for node in left if node.id not in parents for found in _carriers(view, node)][-1:]


def _carriers(view: View, node: Node) -> list[Node]:
    """Return where a loss on a call can enter the graph: the call, or the last calls within one that adds nothing."""
    if node.id in view.trained:
        return [node]
    inside = {node.id}
    grew = True
    while grew:
        found = {other.id for other in view.nodes if other.parent in inside} - inside
        inside |= found
        grew = bool(found)
    return _last(view, [other for other in view.nodes if other.id in inside])


def _last(view: View, nodes: Sequence[Node]) -> list[Node]:
    """Return those of ``nodes`` with a trainable parameter upstream that no other of them read; prompts if need be."""
    trained = [node for node in nodes if node.id in view.trained]
    read = {item.source.id for node in trained for item in view.inputs(node)}
    unread = [node for node in trained if node.id not in read]
    return [node for node in unread if node.kind != "prompt"] or unread
