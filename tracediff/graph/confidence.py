"""How sure an edge is: one table of features, calibrated over the test programs (docs/graph.md)."""

from __future__ import annotations

from typing import Literal, TypeAlias

Evidence: TypeAlias = Literal["identity", "id", "leaf", "cover", "slot", "inside", "link"]

_BASE: dict[tuple[str, str], float] = {
    ("identity", "only"): 1.0,
    ("identity", "latest"): 0.97,
    ("id", "only"): 0.99,
    ("leaf", "only"): 0.98,
    ("leaf", "latest"): 0.93,
    ("cover", "full"): 0.97,
    ("cover", "long"): 0.96,
    ("cover", "partial"): 0.9,
    ("cover", "moved"): 0.85,
    ("slot", "new"): 0.97,
    ("slot", "whole"): 0.85,
    ("slot", "name"): 0.8,
    ("slot", "several"): 0.8,
    ("slot", "part"): 0.75,
    ("inside", "only"): 0.95,
    ("inside", "output"): 0.7,
    ("link", "only"): 1.0,
}
"""(evidence, case) -> share of such edges that were true."""


def confidence(evidence: Evidence, case: str) -> float:
    """Return the probability that an edge with this evidence is true."""
    return _BASE[evidence, case]
