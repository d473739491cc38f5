"""Calls that are known from a framework's callbacks: around the running code, though not attached to its context.

A callback can't attach a context that outlives it. So a framework's integration enters a finder here, and whatever
begins a record asks it which of the framework's calls it runs in. Of that one and the call that the context names, both
around the running code, the inner one is the one that started later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from tracediff.capture.context import Scope, current_context, current_scope, enter_context, with_scope, with_span
from tracediff.capture.faults import faults

if TYPE_CHECKING:
    from tracediff.capture.recorder import Call

Finder: TypeAlias = "Callable[[str], Call | None]"
"""Given the kind of the record that begins: the innermost call of a framework around the running code."""


class _Finders:
    """Who is asked, in order of entry."""

    def __init__(self) -> None:
        self.all: tuple[Finder, ...] = ()
        self._lock = threading.Lock()

    def add(self, finder: Finder) -> None:
        with self._lock:
            self.all = (*self.all, finder)

    def remove(self, finder: Finder) -> None:
        with self._lock:
            self.all = tuple(kept for kept in self.all if kept is not finder)


finders = _Finders()


def find_by(finder: Finder) -> Callable[[], None]:
    """Ask ``finder`` from now on; return what ends it."""
    finders.add(finder)
    return lambda: finders.remove(finder)


def enter_found(kind: str) -> Any:
    """Attach the innermost call that a finder knows, None where there is none deeper than the context's own."""
    found: list[Call] = []
    for finder in finders.all:
        try:
            call = finder(kind)
        except Exception as fault:  # never felt by the program
            faults.note("finding the call of a framework", fault)
            continue
        if call is not None and not call.is_over:
            found.append(call)
    return enter(max(found, key=lambda call: call.started)) if found else None


def enter(call: Call) -> Any:
    """Attach an open ``call`` and return the token for ``detach``; None where the context names a deeper one."""
    scope = current_scope()
    if scope is None or scope.recording is None or not scope.recording.is_open:
        return None if call.is_over or (scope is not None and scope.is_suppressed) else call.attach()
    if call.is_over or scope.parent_id == call.id or scope.recording._run is not call.recording._run:
        return None
    named = call.recording._run.open_calls.get(scope.parent_id or "")
    if named is not None and named.started > call.started:
        return None
    context = with_scope(current_context(), Scope(scope.candidate, scope.recording, call.id, scope.is_trial))
    if call.span is not None:
        with_span(context, call.span, is_apart=call.recording._run.is_apart)
    return enter_context(context)
