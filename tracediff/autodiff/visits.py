"""Visits: one node in the backward pass, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tracediff.autodiff.gradients import Gradient
from tracediff.autodiff.view import Input, View
from tracediff.engine import Engine
from tracediff.graph.model import Node


class Delivery(NamedTuple):
    """Feedback on its way to the output of an earlier node."""

    target: Node
    text: str
    score: float
    is_settled: bool = False
    """For the target's parameter alone: what the target read was judged in the same request."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a visit came to."""

    deliveries: tuple[Delivery, ...] = ()
    calls: int = 0
    """Engine calls."""
    is_no_cause: bool = False
    unread: str = ""
    """Why no usable reply came, if none came."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One node, when everything after it is done."""

    view: View
    node: Node
    feedbacks: tuple[Gradient, ...]
    """What reached the node's output, by position of the successor; losses last."""
    inputs: tuple[Input, ...]
    """The live inputs."""
    engine: Engine
    retries: int

    @property
    def score(self) -> float:
        """The lowest score among the feedbacks: what is said of the inputs is about that loss."""
        return min(feedback.score for feedback in self.feedbacks)
