"""Optimizers by name: what ``optimize(optimizer="gdpo")`` finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tracediff.errors import UsageError
from tracediff.optim.base import Optimizer
from tracediff.optim.gdpo import Gdpo

OPTIMIZERS: Mapping[str, Callable[[], Optimizer[Any]]] = MappingProxyType({"gdpo": Gdpo})
"""Name -> what makes the optimizer with its default options."""


def optimizer_named(optimizer: str | Optimizer[Any]) -> Optimizer[Any]:
    """Return the optimizer of that name, or the object itself; raise UsageError that lists the known names."""
    if not isinstance(optimizer, str):
        if all(callable(getattr(optimizer, method, None)) for method in ("init", "propose", "observe")):
            return optimizer
        raise UsageError(
            f"{optimizer!r} is no optimizer: expected a name ({', '.join(OPTIMIZERS)}) "
            "or an object with init, propose and observe"
        )
    if optimizer not in OPTIMIZERS:
        raise UsageError(f"unknown optimizer {optimizer!r}. Known: {', '.join(sorted(OPTIMIZERS))}")
    return OPTIMIZERS[optimizer]()
