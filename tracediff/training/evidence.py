"""Evidence: from the runs of a batch to what the optimizer may look at, through the backward pass or without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeAlias

from tracediff.autodiff.driver import backward_batch
from tracediff.autodiff.gradients import Gradients
from tracediff.autodiff.losses import Loss
from tracediff.autodiff.payload import text_of
from tracediff.capture.values import Cut, Obj
from tracediff.engine import Engine
from tracediff.errors import EngineUnavailable, UsageError
from tracediff.graph.graph import ParameterGraph
from tracediff.graph.names import named
from tracediff.optim.base import Evidence, Example
from tracediff.optim.peers import peers_of
from tracediff.parameters import Parameter
from tracediff.scores import Score
from tracediff.training.evaluation import SampleResult
from tracediff.training.faults import RAISED
from tracediff.training.metrics import Metric, measure
from tracediff.training.samples import Sample, ground_truth

NodeMetrics: TypeAlias = Mapping[str, Metric]
"""Site -> ``metric(output of one call, sample)``; a site is named in full or by what it ends in (``graph.names``)."""


@dataclass(frozen=True, slots=True)
class Critic:
    """How a batch is criticised."""

    engine: Engine
    threshold: float
    max_in_flight: int
    losses: NodeMetrics


def evidence_from_gradients(
    critic: Critic,
    runs: Sequence[tuple[Sample, SampleResult]],
    parameters: Mapping[str, Parameter],
) -> tuple[Evidence, Gradients]:
    """Return what a backward pass over the runs says (LLM-AutoDiff, section 3.2 and eq. 11).

    Targets are the trainable parameters with a fault found; notes on samples that passed are no reason to change a
    text. Raises EngineUnavailable when the critic answered for no failing run.
    """
    graphs = [_graph(result) for _, result in runs]
    node_scores = _node_scores(critic.losses, runs, graphs)
    items = [(graph, _loss(result, nodes)) for (_, result), graph, nodes in zip(runs, graphs, node_scores, strict=True)]
    gradients = backward_batch(items, critic.engine, threshold=critic.threshold, max_in_flight=critic.max_in_flight)
    if gradients.failed and len(gradients.failed) == sum(1 for _, loss in items if loss.score < critic.threshold):
        sample, reason = next(iter(gradients.failed.items()))
        raise EngineUnavailable(f"the critic answered for no failing sample, first {sample!r}: {reason}")
    blamed = [name for name, found in gradients.parameters.items() if any(not g.is_note for g in found)]
    targets = tuple(name for name, p in parameters.items() if p.trainable and name in blamed)
    if not targets and not any(node.kind == "llm" for graph in graphs for node in graph.nodes):
        raise UsageError(
            "no feedback reaches a prompt, and no model call was recorded in these runs. Call tracediff.instrument() "
            'before the program runs, or mark what calls the model with @tracediff.functional_node(kind="llm")'
        )
    return Evidence(parameters, targets, gradients=gradients.parameters, peers=peers_of(graphs)), gradients


def evidence_from_examples(
    runs: Sequence[tuple[Sample, SampleResult]], parameters: Mapping[str, Parameter], threshold: float
) -> Evidence:
    """Return the raw inputs, outputs and scores of the failing runs, for each parameter that they read.

    The paper's ablation without gradients (section 4.3).
    """
    graphs: list[ParameterGraph] = []
    examples: dict[str, list[Example]] = {}
    for sample, result in runs:
        assert result.loss is not None
        if result.loss.value >= threshold:
            continue
        graph = _graph(result)
        graphs.append(graph)
        final = result.message or text_of(graph.result)
        given = {k: v for k, v in sample.fields.items() if k != "id" and k not in result.labels}
        expected = ground_truth(result.labels)
        for parameter in graph.parameters:
            shown = "\n".join([*_said(graph, parameter.name), final])
            example = Example(sample.id, result.loss.value, text_of(given), shown, expected)
            examples.setdefault(parameter.name, []).append(example)
    targets = tuple(name for name, p in parameters.items() if p.trainable and name in examples)
    return Evidence(parameters, targets, examples=examples, peers=peers_of(graphs))


def _said(graph: ParameterGraph, parameter: str) -> list[str]:
    """Return what the calls that read a parameter put out, in call order: each with its label, undiscussed."""
    readers = (
        edge.target
        for node in graph.nodes
        if node.parameter is not None and node.parameter.name == parameter
        for edge in graph.successors(node)
    )
    return [f"{node.label}: {text_of(node.output)}" for node in dict.fromkeys(readers) if node is not graph.output]


def _graph(result: SampleResult) -> ParameterGraph:
    assert result.run is not None
    return result.run.graph()


def _loss(result: SampleResult, nodes: Mapping[str, Score]) -> Loss:
    """Return the loss of one run; where only the reported metric has words, these are the feedback."""
    assert result.loss is not None
    error = result.message if result.fault in RAISED else ""
    words = result.loss.feedback or (result.score.feedback if result.score is not None else "")
    return Loss(result.loss.value, words, ground_truth(result.labels), nodes, error)


def _node_scores(
    losses: NodeMetrics, runs: Sequence[tuple[Sample, SampleResult]], graphs: Sequence[ParameterGraph]
) -> list[dict[str, Score]]:
    """Return, for each run, node label -> the score of its output by the loss on its site (eq. 1)."""
    found: list[dict[str, Score]] = [{} for _ in runs]
    for site, metric in losses.items():
        for (sample, _), graph, scores in zip(runs, graphs, found, strict=True):
            sites = named(site, (node.name for node in graph.nodes))
            for node in graph.nodes:
                if node.name in sites and node.error is None:
                    scores[node.label] = measure(metric, _plain(node.output), sample)
    return found


def check_losses(losses: NodeMetrics, results: Sequence[SampleResult]) -> None:
    """Raise UsageError for a loss on a site that was called in none of these runs."""
    records = (record for result in results if result.run is not None for record in result.run.records)
    sites = list(dict.fromkeys(record.name for record in records))
    for site in losses:
        if not named(site, sites):
            raise UsageError(f"losses: no node is named {site!r}. The program's sites: {', '.join(sites)}")


def _plain(value: Any) -> Any:
    """Return a node's output as the metric gets it: as the program had it, objects with the fields that were kept."""
    match value:
        case Obj():
            return SimpleNamespace(**{name: _plain(item) for name, item in value.fields.items()})
        case Cut():
            return _plain(value.head)
        case list() | tuple():
            return type(value)(_plain(item) for item in value)
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case _:
            return value
