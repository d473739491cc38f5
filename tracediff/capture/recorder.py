"""Recording: each traced call of a run becomes one record, and each input is checked for objects seen before.

Method and measured cost: EDGES, "While the program runs". A fault of ours is counted and never reaches the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import time_ns
from typing import Any

from opentelemetry import trace as api
from opentelemetry.context import Context

from tracediff import attributes as keys
from tracediff.capture import metering, spans
from tracediff.capture.context import (
    OURS_KEY,
    OUTER_KEY,
    SCOPE_KEY,
    SPAN_KEY,
    Scope,
    current_context,
    detach,
    enter_context,
    with_scope,
)
from tracediff.capture.enclosing import enter_found, finders
from tracediff.capture.faults import faults
from tracediff.capture.live import open_recordings
from tracediff.capture.recording import Recording
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.shapes import REDACTED, is_secret, is_shared, secrecy
from tracediff.capture.snapshot import CAPS, Walk, enter
from tracediff.capture.values import Value
from tracediff.parameters import Parameter

__all__ = ["Call", "begin", "error_text", "is_idle"]

_ID_STEP = 0x9E3779B97F4A7C15  # odd, so that consecutive ids never meet within 2**64 calls
_ID_MASK = (1 << 64) - 1
_ERROR_CHARS = 2_000
_NO_REFS: Any = ()
_new_scope: Any = tuple.__new__  # as Scope(...), whose own __new__ is Python code


def is_idle() -> bool:
    """True when nothing is recorded, exported or measured in this process: a traced call is then a plain call."""
    return (
        not open_recordings and api._TRACER_PROVIDER is None and spans._export.chosen is None and not metering.is_on()
    )


class Call:
    """One traced call while it runs."""

    # Class attributes are the defaults of what most calls never set: an instance costs a few stores.
    id = ""
    """16 hex digits, of its span where there is one; set by ``begin``."""
    description = ""
    parameter: Parameter | None = None
    attributes: Mapping[str, Any] | None = None
    output: Value = None
    error: str | None = None
    span: Any = None
    """The exported span, where there is one; its id is the record's id."""
    outlet: Any = None
    """Where the span goes, which counts it."""
    late: tuple[Callable[[], Mapping[str, Any]], ...] = ()
    """Read the attributes that nobody needs while the program runs: asked once, when there is a span or a record."""
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
        self.recording = recording
        self.name = name
        self.kind = kind
        self.parent_id = parent_id
        self.started: int = recording._run.next()
        self.inputs: dict[str, Value] = {}
        self.refs: list[Ref] = []
        self.start_ns = time_ns()

    def attach(self) -> Any:
        """Make this call the parent of what follows; return the token for ``detach``."""
        context = current_context()
        scope: Any = context.get(SCOPE_KEY)
        recording = self.recording
        candidate = None if scope is None else scope[0]
        inner = _new_scope(Scope, (candidate, recording, self.id, recording.is_trial, False))
        if self.span is None:
            return enter_context(with_scope(context, inner))
        # with_scope and with_span, without two calls more
        attached, before, put = Context(context), context.get(SPAN_KEY), dict.__setitem__
        put(attached, SCOPE_KEY, inner)
        if recording._run.is_apart:
            put(attached, OURS_KEY, self.span)
            return enter_context(attached)
        if before is not context.get(OURS_KEY):
            put(attached, OUTER_KEY, before)
        put(attached, OURS_KEY, self.span)
        put(attached, SPAN_KEY, self.span)
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
        if self.emitted is not None:
            self.emitted = None
        if not self.refs:
            self.refs = _NO_REFS  # a run holds its calls: fewer objects for the garbage collector to look at
        self.end_ns = time_ns()
        self.ended = run.next()
        recording = self.recording
        if recording.outer is None and recording.is_open:
            recording._ended.append(self)
        else:
            recording._add(self)
        if self.late and (self.span is not None or metering.is_on()):
            self._settle()
        if self.attributes and self.is_measured and metering.is_on():
            metering.measure(self)
        if self.owns_recording:
            if run.open_calls:
                recording.close()
            recording.is_open = False  # all that there is to close where nothing runs: it was never attached
        if self.span is not None:
            spans.finish(self)
            self.span = None  # kept for links: its context only
        if self.owns_recording:
            recording.forget()

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
        if late := self.late:
            self.late = ()
            found: dict[str, Any] = {}
            try:
                for read in late:
                    found.update(read())
            except Exception as fault:  # never felt by the program
                faults.note("reading a call's attributes", fault)
            self.attributes = found if not self.attributes else {**found, **self.attributes}

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
    context = current_context()
    scope: Any = context.get(SCOPE_KEY)
    recording: Recording | None = None
    parent_id: str | None = None
    if scope is not None:
        _, recording, parent_id, _, is_suppressed = scope
        if is_suppressed:
            return None
        while recording is not None and not recording.is_open:
            recording = recording.outer
    is_exporting = spans.is_on()
    is_hidden = (is_exporting or recording is None) and spans.is_suppressed(context)
    if recording is None:
        is_measured = attributes is not None and keys.PROVIDER_NAME in attributes and metering.is_on()
        if is_hidden or not (is_exporting or is_measured):
            return None
    try:
        if is_own := recording is None:  # exported but not recorded, the outermost call is a run of its own
            recording, parent_id = Recording(), None
        call = Call(recording, name, kind, parent_id)
        _take(inputs, call)
        if description:
            call.description = description
        if parameter is not None:
            call.parameter = parameter
        if attributes is not None:
            call.attributes = attributes
        if is_own:
            call.owns_recording = True
        if is_exporting and not is_hidden:
            spans.start(call, context)
        run = recording._run
        if not call.id:
            number = (run.id_base + call.started * _ID_STEP) & _ID_MASK or 1
            call.id = "%016x" % number  # noqa: UP031 - half the time of an f-string
        run.open_calls[call.id] = call
    except Exception as fault:  # never felt by the program
        faults.note("begin", fault)
        return None
    return call


def _take(inputs: Mapping[str, object], call: Call) -> None:
    """Take the inputs of a call, with the references to what earlier calls put out."""
    table, taken, refs, room = call.recording._run.table, call.inputs, call.refs, CAPS.leaf_chars
    for argument, value in inputs.items():
        if secrecy(argument) and is_secret(argument, value):
            taken[argument] = REDACTED
            if (entry := table.get(id(value))) is not None and not is_shared(value):
                refs.append(Ref(argument, entry[1], entry[2], entry[3]))
        elif type(value) is str and len(value) <= room:
            taken[argument] = value
            if (entry := table.get(id(value))) is not None and len(value) > 1:
                refs.append(Ref(argument, entry[1], entry[2], entry[3]))
        else:
            taken[argument] = Walk(table, refs=refs).take(value, argument)


def error_text(error: BaseException) -> str:
    """Return ``TypeName: message``, shortened; a message that can't be made is left out."""
    name = type(error).__name__
    try:
        message = str(error)
    except Exception:  # the program's own __str__
        return name
    return f"{name}: {message[:_ERROR_CHARS]}" if message else name
