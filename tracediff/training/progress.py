"""Progress: what a training run tells while it works. The library itself prints nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

ProgressKind: TypeAlias = Literal["start", "samples", "step", "backward", "proposal", "decision", "stop"]


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """One thing that happened, with where the run stands."""

    kind: ProgressKind
    message: str
    """One line for people."""
    step: int = 0
    """From 1; 0 before the first."""
    max_steps: int = 0
    done: int = 0
    """On ``samples``: how many of ``total`` have been run."""
    total: int = 0
    score: float | None = None
    """On ``start`` and ``decision``: the validation score, when there is a whole one."""
    best: float | None = None
    """Validation score of the incumbent."""
    is_accepted: bool = False
    """On ``decision``."""
    calls: Mapping[str, int] = field(default_factory=dict)
    """Purpose -> model calls so far."""


class Progress(Protocol):
    """Gets every event in order; ``samples`` events come from worker threads, one at a time."""

    def on_event(self, event: ProgressEvent) -> None:
        """Take note of one event; must return at once."""
        ...
