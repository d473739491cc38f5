"""Recording: each traced call of a run becomes one record, and each input is checked for objects seen before.

Method and measured cost: EDGES, "While the program runs". A fault of ours is counted and never reaches the program.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import time_ns
from typing import Any

from opentelemetry import trace as api
from opentelemetry.context import Context, create_key

from tracediff import attributes as keys
from tracediff.capture import metering, spans
from tracediff.capture.context import (
    SCOPE_KEY,
    Scope,
    current_context,
    current_scope,
    detach,
    enter_context,
    scoped,
    with_scope,
)
from tracediff.capture.enclosing import enter_found, finders
from tracediff.capture.faults import faults
from tracediff.capture.live import Strays, live, open_recordings
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.shapes import REDACTED, is_secret, is_shared
from tracediff.capture.snapshot import CAPS, Table, Walk, enter
from tracediff.capture.values import Value
from tracediff.parameters import Candidate, Parameter

_ID_STEP = 0x9E3779B97F4A7C15  # odd, so that consecutive ids never meet within 2**64 calls
_ID_MASK = (1 << 64) - 1
(_SPAN_KEY,) = api.set_span_in_context(api.INVALID_SPAN, Context())
"""Where OpenTelemetry keeps the current span; one copy of the context then takes both."""
_OURS_KEY = create_key("tracediff-span")
_OUTER_KEY = create_key("tracediff-outer-span")
_ERROR_CHARS = 2_000


def with_span(context: Context, span: object) -> Context:
    """Return ``context``, which nobody else has yet, with a span of ours as the current one.

    The program's own span stays known beside it: see ``hide_span``.
    """
    before = context.get(_SPAN_KEY)
    if before is not context.get(_OURS_KEY):
        dict.__setitem__(context, _OUTER_KEY, before)
    dict.__setitem__(context, _OURS_KEY, span)
    dict.__setitem__(context, _SPAN_KEY, span)
    return context


def hide_span(context: Context) -> bool:
    """Put the program's own span in the place of ours in ``context``; return whether ours stood there."""
    current = context.get(_SPAN_KEY)
    if current is None or current is not context.get(_OURS_KEY):
        return False
    dict.__setitem__(context, _SPAN_KEY, context.get(_OUTER_KEY) or api.INVALID_SPAN)
    return True


class _Run:
    """What every view of one run shares: identity, order, and the objects put out so far."""

    __slots__ = (
        "id_base",
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
        self.run_id = os.urandom(16).hex()
        self.id_base = int.from_bytes(os.urandom(8), "big")
        self.next = itertools.count(1).__next__
        self.table: Table = {}
        self.open_calls: dict[str, Call] = {}
        self.is_content_wanted: bool | None = None
        self.span: api.Span | None = None
        """The exported span of the run itself, where it was opened by ``record`` or ``trace``."""
        self.span_contexts: dict[str, api.SpanContext] = {}
        """Record id -> context of its exported span: what links point to."""
        self.lock = threading.RLock()  # a garbage collection inside it may end a dropped stream


class Recording:
    """The records of one run, or of a part of it: a recording opened inside another is a view of its part."""

    def __init__(self, *, sample_id: str = "", is_trial: bool = False, outer: Recording | None = None) -> None:
        """Open a recording; ``outer`` is the one it lies in."""
        while outer is not None and not outer.is_open:
            outer = outer.outer
        self.outer: Recording | None = outer
        self.sample_id = sample_id
        self.is_trial: bool = is_trial or (outer is not None and outer.is_trial)
        self.is_open: bool = True
        self.lost: list[str] = []
        """Sites that were used without the run's context while this was a trial."""
        self.output: Value = None
        self.output_refs: tuple[Ref, ...] = ()
        self.has_output = False
        self.candidate: Candidate | None = None
        """The texts in use where it was attached."""
        self.home: int | None = None
        """The thread that it was attached in."""
        self.strays = Strays()
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
            token = enter_context(with_span(Context(current_context()), self._run.span))
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
        if self.outer is None:
            for call in reversed(list(self._run.open_calls.values())):
                call.end(call.emitted, attributes={keys.UNFINISHED: True})
        self.is_open = False
        live.open.pop(id(self), None)
        self.strays.settle()

    def _add(self, call: Call) -> None:
        recording: Recording | None = self
        while recording is not None:
            if recording.is_open:
                recording._ended.append(call)
            recording = recording.outer


def is_idle() -> bool:
    """True when nothing is recorded, exported or measured in this process: a traced call is then a plain call."""
    return (
        not open_recordings and api._TRACER_PROVIDER is None and spans._export.chosen is None and not metering.is_on()
    )


class Call:
    """One traced call while it runs."""

    # Class attributes are the defaults of what most calls never set: an instance costs a few stores.
    description = ""
    parameter: Parameter | None = None
    attributes: Mapping[str, Any] | None = None
    output: Value = None
    error: str | None = None
    span: Any = None
    """The exported span, where there is one; its id is the record's id."""
    outlet: Any = None
    """Where the span goes, which counts it."""
    late: Callable[[], Mapping[str, Any]] | None = None
    """Reads the attributes that nobody needs while the program runs: asked once, when there is a span or a record."""
    is_over = False
    owns_recording = False
    is_measured = True
    """Metrics are made of it; not where instrumentation is suppressed."""
    emitted: list[object] | None = None
    yields: list[int] | None = None
    ended = 0
    end_ns = 0
    _record: SpanRecord | None = None

    def __init__(self, recording: Recording, name: str, kind: str, parent_id: str | None) -> None:
        run = recording._run
        self.recording = recording
        self.name = name
        self.kind = kind
        self.parent_id = parent_id
        self.started: int = run.next()
        self.id = "%016x" % ((run.id_base + self.started * _ID_STEP) & _ID_MASK or 1)  # half the time of an f-string
        self.inputs: dict[str, Value] = {}
        self.refs: list[Ref] = []
        self.start_ns = time_ns()

    def attach(self) -> Any:
        """Make this call the parent of what follows; return the token for ``detach``."""
        context = current_context()
        scope = context.get(SCOPE_KEY)
        recording = self.recording
        candidate = None if scope is None else scope[0]  # type: ignore[index]
        inner = Scope(candidate, recording, self.id, recording.is_trial)
        if self.span is None:
            return enter_context(with_scope(context, inner))
        # with_scope and with_span, without two calls more
        attached, before, put = Context(context), context.get(_SPAN_KEY), dict.__setitem__
        put(attached, SCOPE_KEY, inner)
        if before is not context.get(_OURS_KEY):
            put(attached, _OUTER_KEY, before)
        put(attached, _OURS_KEY, self.span)
        put(attached, _SPAN_KEY, self.span)
        return enter_context(attached)

    detach = staticmethod(detach)

    @contextmanager
    def active(self) -> Iterator[Call]:
        """Run the block as the inside of this call: calls in it get it as their parent."""
        token = self.attach()
        try:
            yield self
        finally:
            detach(token)

    def emit(self, item: object) -> None:
        """Note an item that leaves a generator or stream now: from here on others may hold it."""
        try:
            if self.is_over:
                return
            if self.emitted is None or self.yields is None:
                self.emitted, self.yields = [], []
            run = self.recording._run
            if len(self.emitted) < CAPS.leaves:
                with run.lock:
                    Walk(run.table, record=self.id).take(item, f"[{len(self.emitted)}]")
                self.yields.append(run.next())
                self.emitted.append(item)
        except Exception as fault:  # never felt by the program
            faults.note("emit", fault)

    def finish_stream(self, returned: object = None, *, is_abandoned: bool = False) -> None:
        """End a generator: its output is the list of the items it yielded, then what it returned if anything."""
        items = self.emitted or []
        self.end(
            items if returned is None else [*items, returned],
            attributes={keys.UNFINISHED: True} if is_abandoned else None,
        )

    def end(
        self, output: object = None, *, error: BaseException | None = None, attributes: Mapping[str, Any] | None = None
    ) -> None:
        """End the call; only the first time counts. Never raises into the program."""
        if self.is_over:
            return
        self.is_over = True
        try:
            self._end(output, error, attributes)
        except Exception as fault:  # never felt by the program
            faults.note("end", fault)

    def _end(self, output: object, error: BaseException | None, attributes: Mapping[str, Any] | None) -> None:
        run = self.recording._run
        if run.open_calls.pop(self.id, None) is None:
            return  # ended by another thread, or by the end of the run
        if attributes:
            self.attributes = {**(self.attributes or {}), **attributes}
        if self.yields is not None:
            self.attributes = {**(self.attributes or {}), keys.YIELDS: self.yields}
        if error is not None:
            self.error = error_text(error)
        if output is not None:
            with run.lock:
                if type(output) is str and len(output) <= CAPS.leaf_chars:
                    if len(output) > 1:
                        enter(run.table, output, self.id, "")
                    self.output = output
                else:
                    self.output = Walk(run.table, record=self.id).take(output)
        self.emitted = None
        self.end_ns = time_ns()
        self.ended = run.next()
        self.recording._add(self)
        if self.late is not None and (self.span is not None or metering.is_on()):
            self._settle()
        if self.attributes and self.is_measured and metering.is_on():
            metering.measure(self)
        if self.owns_recording:
            self.recording.close()
        if self.span is not None:
            spans.finish(self)
            self.span = None  # kept for links: its context only

    def record(self) -> SpanRecord:
        """Return the record of this call, which has ended."""
        if self._record is None:
            self._record = SpanRecord(
                id=self.id,
                run_id=self.recording.run_id,
                parent_id=self.parent_id,
                name=self.name,
                kind=self.kind,
                start=self.started,
                end=self.ended,
                start_ns=self.start_ns,
                end_ns=self.end_ns,
                inputs=self.inputs,
                output=self.output,
                refs=tuple(self.refs),
                error=self.error,
                description=self.description,
                parameter=self.parameter,
                attributes=self._attributes(),
            )
        return self._record

    def _settle(self) -> None:
        """Read the late attributes."""
        if (late := self.late) is not None:
            self.late = None
            try:
                self.attributes = {**late(), **(self.attributes or {})}
            except Exception as fault:  # never felt by the program
                faults.note("reading a call's attributes", fault)

    def _attributes(self) -> dict[str, Value]:
        self._settle()
        return {key: Walk().take(value) for key, value in (self.attributes or {}).items()}


def begin(
    name: str,
    kind: str,
    inputs: Mapping[str, object],
    *,
    description: str = "",
    parameter: Parameter | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Call | None:
    """Return the call that has begun, or None when nobody records or exports: then run the plain call."""
    if finders.all and (token := enter_found(kind)) is not None:
        try:
            return begin(name, kind, inputs, description=description, parameter=parameter, attributes=attributes)
        finally:
            detach(token)
    scope = current_scope()
    if scope is None:
        recording = None
    else:
        if scope.is_suppressed:
            return None
        recording = scope.recording
        while recording is not None and not recording.is_open:
            recording = recording.outer
    is_exporting = spans.is_on()
    if recording is None:
        is_measured = attributes is not None and keys.PROVIDER_NAME in attributes and metering.is_on()
        if not (is_exporting or is_measured) or spans.is_suppressed(current_context()):
            return None
    try:
        parent_id = scope.parent_id if scope is not None else None
        call = _taken(name, kind, inputs, recording, parent_id)
        call.description, call.parameter, call.attributes = description, parameter, attributes
        if is_exporting:
            spans.start(call)
        call.recording._run.open_calls[call.id] = call
    except Exception as fault:  # never felt by the program
        faults.note("begin", fault)
        return None
    return call


def _taken(
    name: str, kind: str, inputs: Mapping[str, object], recording: Recording | None, parent_id: str | None
) -> Call:
    """Return a call with its inputs taken. Exported but not recorded, the outermost call is a run of its own."""
    owns_recording = recording is None
    if recording is None:
        recording, parent_id = Recording(), None
    call = Call(recording, name, kind, parent_id)
    call.owns_recording = owns_recording
    table, taken, refs = recording._run.table, call.inputs, call.refs
    for argument, value in inputs.items():
        if type(value) is str and len(value) <= CAPS.leaf_chars and not is_secret(argument, value):
            taken[argument] = value
            entry = table.get(id(value))
            if entry is not None and len(value) > 1:
                refs.append(Ref(argument, entry[1], entry[2], entry[3]))
        elif is_secret(argument, value):
            taken[argument] = REDACTED
            if (entry := table.get(id(value))) is not None and not is_shared(value):
                refs.append(Ref(argument, entry[1], entry[2], entry[3]))
        else:
            taken[argument] = Walk(table, refs=refs).take(value, argument)
    return call


def error_text(error: BaseException) -> str:
    """Return ``TypeName: message``, shortened; a message that can't be made is left out."""
    name = type(error).__name__
    try:
        message = str(error)
    except Exception:  # the program's own __str__
        return name
    return f"{name}: {message[:_ERROR_CHARS]}" if message else name
