"""Scores: what a metric says of a prediction."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tracediff.errors import MetricError


@dataclass(frozen=True, slots=True)
class Score:
    """A number in [0, 1], higher is better, with the metric's own feedback if it has any."""

    value: float
    feedback: str = ""

    def __post_init__(self) -> None:
        """Raise MetricError when the value is no number in [0, 1]."""
        if isinstance(self.value, str | bytes) or not hasattr(type(self.value), "__float__"):
            raise MetricError(f"a score must be a number in [0, 1], not {type(self.value).__name__}")
        number = float(self.value)  # a numpy scalar counts as a number
        if math.isnan(number) or not 0.0 <= number <= 1.0:
            raise MetricError(f"a score must be a number in [0, 1], not {number}")
        object.__setattr__(self, "value", number)

    @classmethod
    def of(cls, result: object) -> Score:
        """Return what a metric returned (a number, a bool or a Score) as a Score; raise MetricError otherwise."""
        return result if isinstance(result, Score) else cls(result)  # type: ignore[arg-type]
