"""Optimizers: ``init / propose / observe`` with frozen, JSON-able state, found by name."""

from __future__ import annotations

from tracediff.optim.base import Asker, Evidence, Example, Failure, Optimizer, Outcome, Proposal, Tried
from tracediff.optim.gdpo import Gdpo, GdpoState
from tracediff.optim.registry import optimizer_named

__all__ = [
    "Asker",
    "Evidence",
    "Example",
    "Failure",
    "Gdpo",
    "GdpoState",
    "Optimizer",
    "Outcome",
    "Proposal",
    "Tried",
    "optimizer_named",
]
