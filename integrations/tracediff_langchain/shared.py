"""The one installation that ``tracediff_langchain`` and ``tracediff_langgraph`` share."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tracediff_langchain.patch import Patch


class _Shared:
    """Put in by the first integration that asks, taken out by the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._patch: Patch | None = None

    def acquire(self) -> Callable[[], None]:
        """Put it in unless it is; return what takes it out when nobody else needs it."""
        with self._lock:
            self._count += 1
            if self._patch is None:
                self._patch = Patch()
                self._patch.install()
        return self._release

    def _release(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0 and self._patch is not None:
                self._patch.undo()
                self._patch = None


shared = _Shared()
