"""Losses: what was wrong with a run, as a score with or without the metric's own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tracediff.scores import Score

NodeLoss: TypeAlias = "Score | float | Sequence[Score | float]"


@dataclass(frozen=True, slots=True)
class Loss:
    """The losses of one run: on its final output, and on named nodes beside it.

    LLM-AutoDiff (arXiv 2501.16673), eq. 1: a run may have a loss on any node; several on one node add up, which for
    feedback in words means that they are listed. A loss with feedback needs no engine call; without, the engine is
    asked once what is wrong with the output (eq. 3, 4).
    """

    score: float
    feedback: str = ""
    """The metric's own words."""
    ground_truth: object = None
    """What the output should have been: text, or any value that reads well."""
    nodes: Mapping[str, NodeLoss] = field(default_factory=dict)
    """Site (all its calls) or label ``site#index`` (one call) -> score or scores of that node's output."""
    error: str = ""
    """``TypeName: message`` of the exception that ended the program; it is the feedback then."""

    def __post_init__(self) -> None:
        """Raise MetricError when a score is no number in [0, 1]."""
        object.__setattr__(self, "score", Score(self.score).value)
        for _ in self.node_scores():
            pass

    @classmethod
    def of(cls, value: Loss | Score | float) -> Loss:
        """Return a number or a Score as a Loss; raise MetricError for anything else."""
        if isinstance(value, Loss):
            return value
        score = Score.of(value)
        return cls(score.value, score.feedback)

    def node_scores(self) -> Iterator[tuple[str, Score]]:
        """Yield (site or label, score) for every loss on a node, in the order given."""
        for name, scores in self.nodes.items():
            several = scores if isinstance(scores, Sequence) else (scores,)
            yield from ((name, Score.of(score)) for score in several)
