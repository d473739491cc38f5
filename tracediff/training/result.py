"""Result: what an optimization came to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tracediff.errors import UsageError
from tracediff.parameters import Parameter
from tracediff.store import save_prompts
from tracediff.training.evaluation import Evaluation

StopReason: TypeAlias = Literal["max_steps", "patience", "budget", "nothing_below_threshold", "perfect"]


reporters: dict[str, Callable[[str, str | os.PathLike[str]], None]] = {}
"""Format -> writer of a run folder's report; filled by the report room, which is above this one."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One proposal for one parameter within a trial."""

    parameter: str
    text: str
    method: str
    reasoning: str
    problems: tuple[str, ...]
    """Why it was refused before any forward call; empty when it was tried."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate with the reason it was kept or dropped."""

    step: int
    """From 1."""
    round: int
    """Which proposal of the step, from 1."""
    candidate: str
    """Hash of the candidate; empty when no proposal could be used."""
    attempts: tuple[Attempt, ...]
    is_kept: bool
    reason: str
    stage: str
    """Where it was decided: ``proposal``, ``subset``, ``batch`` or ``validation``."""
    score: float | None
    """Validation score, when the whole validation set was run."""
    samples: tuple[str, ...] = ()
    """Ids of the batch."""


@dataclass(frozen=True, slots=True)
class Result:
    """The best prompts that were found, and how."""

    best: Mapping[str, str]
    """Parameter name -> text, of every trainable parameter: a candidate for ``using`` and ``activate``."""
    start: Mapping[str, str]
    """The same before training."""
    parameters: tuple[Parameter, ...]
    """Every parameter that the runs read, as the code declares it."""
    start_val: Evaluation
    val: Evaluation
    """Of ``best``; the same as ``start_val`` when nothing was better. Its mean is NaN when no sample was scored."""
    start_test: Evaluation | None
    test: Evaluation | None
    """Of ``best``; None without test samples, or when the budget did not allow it."""
    history: tuple[Trial, ...]
    calls: Mapping[str, int]
    """Purpose (forward, validation, backward, optimizer) -> model calls."""
    tokens: Mapping[str, int]
    """Purpose -> input and output tokens."""
    seconds: float
    steps: int
    stop_reason: StopReason
    stop_message: str = ""
    run_dir: str = ""
    seed: int = 0
    scores: tuple[float, ...] = field(default=())
    """Validation score of the incumbent at the start and after each step; empty when the start was not scored."""

    @property
    def improved(self) -> bool:
        """A candidate was accepted: its validation score is above the start's."""
        return any(trial.is_kept for trial in self.history)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the best prompts as a prompts file, which ``tracediff.load`` reads."""
        save_prompts(path, self.best, self.parameters)

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write one HTML page that shows why each prompt was changed. Raises UsageError without a ``run_dir``."""
        if not self.run_dir:
            raise UsageError("a report is made from the journal: call optimize(..., run_dir=DIR)")
        if "html" not in reporters:
            raise UsageError("the report room is not loaded: import tracediff.report.run_report")
        reporters["html"](self.run_dir, path)
