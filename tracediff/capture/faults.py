"""Faults of tracediff itself inside a user's call: counted and shown, never felt by the program."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., None])
_log = logging.getLogger("tracediff")


class Faults:
    """How often each step of ours failed; the first failure of a step is logged with its traceback."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._lock = threading.RLock()  # a garbage collection may end a call in the middle of this

    def note(self, step: str, error: BaseException) -> None:
        """Count one failure of ``step``."""
        with self._lock:
            count = self._counts[step] = self._counts.get(step, 0) + 1
        if count == 1:
            _log.warning(
                "tracediff failed in %s (the program is not affected; later failures of this step are only counted)",
                step,
                exc_info=error,
            )

    def counts(self) -> dict[str, int]:
        """Return step -> failures so far."""
        with self._lock:
            return dict(self._counts)


faults = Faults()
"""Those of this process."""


def unfelt(where: str) -> Callable[[F], F]:
    """Return a decorator for methods that a framework calls: the program feels no fault of theirs, it is counted."""

    def guard(method: F) -> F:
        @functools.wraps(method)
        def guarded(self: Any, *args: Any, **kwargs: Any) -> None:
            try:
                method(self, *args, **kwargs)
            except Exception as fault:
                faults.note(f"{where}'s {method.__name__}", fault)

        return guarded  # type: ignore[return-value]

    return guard
