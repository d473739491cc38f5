"""Training: samples, evaluation, the journal and the one loop of a training run."""

from __future__ import annotations

from tracediff.training.budget import Budget, Cost
from tracediff.training.evaluation import Evaluation, SampleResult, evaluate
from tracediff.training.journal import Event, read_journal
from tracediff.training.progress import Progress, ProgressEvent
from tracediff.training.result import Attempt, Result, Trial
from tracediff.training.session import aoptimize, optimize

__all__ = [
    "Attempt",
    "Budget",
    "Cost",
    "Evaluation",
    "Event",
    "Progress",
    "ProgressEvent",
    "Result",
    "SampleResult",
    "Trial",
    "aoptimize",
    "evaluate",
    "optimize",
    "read_journal",
]
