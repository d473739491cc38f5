"""Requests on their way out: what may read a client's request before it is sent, and send another text in its place.

The room that knows prompts in requests (``tracediff.discover``) enters its watcher here while it is active; the patched
clients ask it. With no watcher a call costs one look at an empty list.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from tracediff.capture import spans
from tracediff.capture.context import current_context, current_scope
from tracediff.capture.faults import faults

NOT_SENT = "a candidate's text was not sent: "
"""Begins the reason that makes a trial invalid."""

Watcher: TypeAlias = Callable[[str, Mapping[str, Any]], Mapping[str, Any] | None]
"""(suffix of the call's shape, body) -> the body to send in its place, None to send it as it is. Changes nothing."""


class _Watchers:
    """Who looks at requests in this process, in order of entry."""

    def __init__(self) -> None:
        self.all: tuple[Watcher, ...] = ()
        self._lock = threading.Lock()

    def add(self, watcher: Watcher) -> None:
        """Enter one."""
        with self._lock:
            self.all = (*self.all, watcher)

    def remove(self, watcher: Watcher) -> None:
        """Let go of one; of one that is not there, nothing."""
        with self._lock:
            kept = list(self.all)
            if watcher in kept:
                kept.remove(watcher)
            self.all = tuple(kept)


_watchers = _Watchers()


def watch(watcher: Watcher) -> Callable[[], None]:
    """Show every outgoing request to ``watcher`` from now on; return what ends it."""
    _watchers.add(watcher)
    return lambda: _watchers.remove(watcher)


def is_watched() -> bool:
    """True when somebody looks at requests."""
    return bool(_watchers.all)


@contextmanager
def sending(shape_of: Callable[[str, str], Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[None]:
    """Run a client's call with what the watchers make of its request. Nothing of theirs is felt by the program."""
    options = None
    given: Any = None
    try:
        scope = current_scope()
        if (scope is None or not scope.is_suppressed) and not spans.is_suppressed(current_context()):
            found = kwargs["options"] if "options" in kwargs else args[1]
            shape = shape_of(found.method, found.url)
            if shape is not None and isinstance(found.json_data, dict):
                given, body = found.json_data, _seen_by_all(shape.suffix, found.json_data)
                if body is not given:
                    options, found.json_data = found, body
    except Exception as error:
        faults.note("preparing a request", error)
    try:
        yield
    finally:
        if options is not None:  # the caller's own again: the client has made its copy
            options.json_data = given


def offered(suffix: str, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Show a request that no patched client sends to the watchers; return the body to send, None for the same one."""
    scope = current_scope()
    if (scope is not None and scope.is_suppressed) or spans.is_suppressed(current_context()):
        return None
    given: Any = body
    made = _seen_by_all(suffix, given)
    return None if made is given else made


def _seen_by_all(suffix: str, body: dict[str, Any]) -> Any:
    """Return the body after every watcher; one that fails is counted and leaves it as it was."""
    current: Any = body
    for watcher in _watchers.all:
        try:
            current = watcher(suffix, current) or current
        except Exception as error:
            faults.note("watching a request", error)
    return current


def note_invalid(reason: str) -> None:
    """Mark the trials that the running code is in: what they score is not the candidate. Nothing is raised."""
    scope = current_scope()
    recording = None if scope is None else scope.recording
    while recording is not None:
        if recording.is_trial and recording.is_open:
            recording.lost.append(NOT_SENT + reason)
        recording = recording.outer
