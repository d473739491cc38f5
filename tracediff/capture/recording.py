"""Recordings: the records of one run, or of a part of it, and what every part of a run shares."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace as api
from opentelemetry.context import Context

from tracediff import attributes as keys
from tracediff.capture.context import Scope, current_context, current_scope, detach, enter_context, scoped, with_span
from tracediff.capture.live import Strays, live
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.snapshot import Table, Walk
from tracediff.capture.values import Value
from tracediff.parameters import Candidate

if TYPE_CHECKING:
    from tracediff.capture.recorder import Call

_STEP = 0x9E3779B97F4A7C15F39CC0605CEDC835  # odd: 2**128 steps until a number comes back
_MASK = (1 << 128) - 1


class _Numbers:
    """Numbers of 128 bits that no other run has: steps from a random start, a new one in a forked child.

    Asking the system at each run would cost a tenth of a span, and an exported call that nobody records is a run.
    """

    def __init__(self) -> None:
        self._restart()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._restart)

    def take(self) -> int:
        """Return the next one."""
        return (self._start + self._step() * _STEP) & _MASK or 1

    def _restart(self) -> None:
        self._start = int.from_bytes(os.urandom(16), "big")
        self._step = itertools.count().__next__


_numbers = _Numbers()


class _Run:
    """What every view of one run shares: identity, order, and the objects put out so far."""

    __slots__ = (
        "id_base",
        "is_apart",
        "is_content_wanted",
        "lock",
        "next",
        "open_calls",
        "run_id",
        "span",
        "span_contexts",
        "table",
    )

    def __init__(self) -> None:
        self.id_base = number = _numbers.take()
        self.run_id = "%032x" % number  # noqa: UP031 - half the time of an f-string
        self.next = itertools.count(1).__next__
        self.table: Table = {}
        self.open_calls: dict[str, Call] = {}
        self.is_content_wanted: bool | None = None
        self.is_apart = False
        """Its spans go to a provider of their own beside a global one: they are not the current ones."""
        self.span: api.Span | None = None
        """The exported span of the run itself, where it was opened by ``record`` or ``trace``."""
        self.span_contexts: dict[str, api.SpanContext] = {}
        """Record id -> context of its exported span: what links point to."""
        self.lock = threading.RLock()  # a garbage collection inside it may end a dropped stream


class Recording:
    """The records of one run, or of a part of it: a recording opened inside another is a view of its part."""

    # Class attributes are the defaults of what most recordings never set.
    is_open = True
    output: Value = None
    output_refs: tuple[Ref, ...] = ()
    has_output = False
    candidate: Candidate | None = None
    """The texts in use where it was attached."""
    home: int | None = None
    """The thread that it was attached in."""
    _strays: Strays | None = None

    def __init__(self, *, sample_id: str = "", is_trial: bool = False, outer: Recording | None = None) -> None:
        """Open a recording; ``outer`` is the one it lies in."""
        while outer is not None and not outer.is_open:
            outer = outer.outer
        self.outer: Recording | None = outer
        self.sample_id = sample_id
        self.is_trial: bool = is_trial or (outer is not None and outer.is_trial)
        self.lost: list[str] = []
        """Sites that were used without the run's context while this was a trial."""
        self._run: _Run = _Run() if outer is None else outer._run
        self._ended: list[Call] = []

    @property
    def outermost(self) -> Recording:
        """The recording of the whole run."""
        return self if self.outer is None else self.outer.outermost

    @property
    def run_id(self) -> str:
        """32 hex digits; a view has its run's."""
        return self._run.run_id

    @property
    def strays(self) -> Strays:
        """Threads of this trial that served others."""
        found: Strays = self.__dict__.setdefault("_strays", Strays())  # one of two threads that come at once
        return found

    @property
    def records(self) -> tuple[SpanRecord, ...]:
        """The calls that have ended, in order of end."""
        return tuple(call.record() for call in self._ended)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Make this the current recording for the block; it stays open."""
        scope = current_scope()
        outer_id = scope.parent_id if scope is not None and self.outer is not None else None
        candidate = scope.candidate if scope is not None else None
        self.candidate, self.home = candidate, threading.get_ident()
        live.open[id(self)] = self
        with scoped(Scope(candidate, self, outer_id, self.is_trial)):
            if self.outer is not None or self._run.span is None:
                yield
                return
            token = enter_context(with_span(Context(current_context()), self._run.span, is_apart=self._run.is_apart))
            try:
                yield
            finally:
                detach(token)

    def set_output(self, value: object) -> None:
        """Say what the result of the run is."""
        refs: list[Ref] = []
        self.output = Walk(self._run.table, refs=refs).take(value, "output")
        self.output_refs = tuple(refs)
        self.has_output = True

    def close(self) -> None:
        """End the recording. Calls that still run (an unread stream, a thread left behind) end unfinished."""
        if not self.is_open:
            return
        if self.outer is None and self._run.open_calls:
            for call in reversed(list(self._run.open_calls.values())):
                call.end(call.emitted, attributes={keys.UNFINISHED: True})
        self.is_open = False
        live.open.pop(id(self), None)
        if self._strays is not None:
            self._strays.settle()

    def forget(self) -> None:
        """Let go of the calls of a run that nobody recorded: they hold it, and would wait for the garbage collector."""
        self._ended = []

    def _add(self, call: Call) -> None:
        recording: Recording | None = self
        while recording is not None:
            if recording.is_open:
                recording._ended.append(call)
            recording = recording.outer
