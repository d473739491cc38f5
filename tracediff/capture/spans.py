"""The export: each recorded call as an OpenTelemetry span, by the GenAI conventions, on the user's own provider.

The global provider is used as it is and never set. With the API's default provider nothing is exported and the check
costs less than a microsecond. The export is a copy: a span that was not sampled, a full queue or a dead collector
takes nothing from a recording.

A run that ``record`` or ``trace`` opened has a span of its own (``capture.runspan``). Exported but not recorded, the
outermost call is a run of its own: with content its span carries the run's header; without content no edges are
inferred in the program's time, so what its spans say of edges are the references by identity, which are known anyway.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context
from opentelemetry.environment_variables import OTEL_PYTHON_TRACER_PROVIDER
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, Span, SpanKind, Status, StatusCode, Tracer

from tracediff import attributes as keys
from tracediff.capture import content, eventing, redaction
from tracediff.capture.content import clean, record_attributes, record_from_attributes
from tracediff.capture.context import current_context
from tracediff.capture.delivery import SCOPE, ExportReport, Outlet
from tracediff.capture.faults import faults
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.runfile import RunFile, header_to_json
from tracediff.errors import UsageError

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from tracediff.capture.recorder import Call, Recording

__all__ = [
    "bound_exit",
    "export_report",
    "finish",
    "flush_export",
    "is_on",
    "is_private",
    "is_suppressed",
    "record_attributes",
    "record_from_attributes",
    "shutdown_export",
    "start",
    "use_provider",
]

_OPERATIONS = {"llm": "chat", "tool": "execute_tool", "retriever": "retrieval"}
"""Record kind -> GenAI operation; a record that names its own operation wins, other kinds have none."""
_AT_START = (keys.PROVIDER_NAME, keys.REQUEST_MODEL, keys.SERVER_ADDRESS, keys.SERVER_PORT)
_MAX_ATTRIBUTES = 40 - len(_AT_START) - 2
"""Set at the end of a span, at most. OpenTelemetry's default limit is 128, and it drops the oldest first."""
_NO_CONTENT = ("gen_ai.request.", "gen_ai.response.", "gen_ai.usage.", "server.")
_NO_CONTENT_KEYS = frozenset({
    keys.OPERATION_NAME, keys.PROVIDER_NAME, keys.OUTPUT_TYPE, keys.CONVERSATION_ID, keys.TOOL_TYPE, keys.TOOL_CALL_ID,
    keys.RETRIEVAL_TOP_K, keys.FAULT, keys.UNFINISHED, keys.ERROR_TYPE,
})  # fmt: skip
"""Attributes of a record that leave without content export: settings and figures, never what a user added."""
_SILENT = (ProxyTracerProvider, NoOpTracerProvider)
_NAMED_BY_ENVIRONMENT = OTEL_PYTHON_TRACER_PROVIDER in os.environ
"""OpenTelemetry then makes the provider when it is first asked for."""


class _Export:
    """Where spans go: the provider given to ``instrument``, else the global one."""

    def __init__(self) -> None:
        self.chosen: TracerProvider | None = None
        self.way: tuple[Tracer, Outlet] | None = None
        """The one used last."""
        self.ways: list[tuple[Tracer, Outlet]] = []
        """By provider, compared by identity: some can't be hashed."""

    def to(self, provider: TracerProvider) -> tuple[Tracer, Outlet]:
        """Return the way out through a provider."""
        way = next((known for known in self.ways if known[1].provider is provider), None)
        if way is None:
            outlet = Outlet(provider)
            outlet.watch()
            way = (provider.get_tracer(SCOPE), outlet)
            self.ways = [*self.ways[-7:], way]
        return way


_export = _Export()


def use_provider(provider: TracerProvider | None) -> None:
    """Send spans to ``provider``; None returns to the global one."""
    _export.chosen = provider


def is_on() -> bool:
    """Tell whether spans go anywhere. Asked at every traced call, so the global provider is read where it is kept."""
    provider = _export.chosen or trace._TRACER_PROVIDER
    if provider is None and _NAMED_BY_ENVIRONMENT:
        provider = trace.get_tracer_provider()
    return provider is not None and type(provider) not in _SILENT


def is_suppressed(context: Context) -> bool:
    """Tell whether the running code lies under OpenTelemetry's ``suppress_instrumentation``."""
    return bool(context.get(_SUPPRESS_INSTRUMENTATION_KEY) or context.get("suppress_instrumentation"))


def is_private() -> bool:
    """Tell whether spans go to a provider that is not the global one, which the rest of the program does not know."""
    return _export.chosen is not None and _export.chosen is not trace._TRACER_PROVIDER


def way_out() -> tuple[Tracer, Outlet]:
    """Return our tracer of the provider that spans go to, and what counts its deliveries.

    Made once for a provider: making a tracer costs more than a span.
    """
    provider = _export.chosen or trace._TRACER_PROVIDER or trace.get_tracer_provider()
    way = _export.way
    if way is None or way[1].provider is not provider:
        _export.way = way = _export.to(provider)
    return way


def export_report() -> ExportReport:
    """Return what became of the exported spans so far: delivered, failed, waiting, dropped.

    Recordings hold every call all the same. It is also logged when an exporter shuts down with spans undelivered.
    """
    return way_out()[1].report() if is_on() else ExportReport(0, ())


def flush_export(timeout_s: float = 5.0) -> ExportReport:
    """Export what waits and return what became of it, after ``timeout_s`` at most, whatever the collector does."""
    return way_out()[1].flush(timeout_s) if is_on() else ExportReport(0, ())


def shutdown_export(timeout_s: float = 5.0) -> ExportReport:
    """Shut down the provider that spans go to and return what became of them, after ``timeout_s`` at most.

    For the end of a program: what the provider gets afterwards, from anybody, is lost. What was not exported is logged.
    """
    return way_out()[1].shutdown(timeout_s) if is_on() else ExportReport(0, ())


class _Exit:
    """How long the end of the process waits for the exporters; None leaves it to the provider."""

    def __init__(self) -> None:
        self.timeout_s: float | None = None

    def __call__(self) -> None:
        if self.timeout_s is not None:
            shutdown_export(self.timeout_s)


_exit = _Exit()


def bound_exit(timeout_s: float | None) -> None:
    """Let the end of the process wait ``timeout_s`` at most for the exporters; None: as long as the provider does."""
    if timeout_s is not None and timeout_s < 0:
        raise UsageError(f"exit_timeout_s must be 0 or more, not {timeout_s}")
    _exit.timeout_s = timeout_s
    atexit.unregister(_exit)
    if timeout_s is not None:
        atexit.register(_exit)


def start(call: Call) -> None:
    """Start the span of a call that has begun; the call's id becomes the span's."""
    try:
        context = current_context()
        if context.get(_SUPPRESS_INSTRUMENTATION_KEY) or context.get("suppress_instrumentation"):
            return
        way = _export.way
        if way is None or way[1].provider is not (_export.chosen or trace._TRACER_PROVIDER):
            way = way_out()
        tracer, call.outlet = way
        if call.attributes is None and call.kind not in _OPERATIONS:
            span = tracer.start_span(call.name, context, start_time=call.start_ns)
        else:
            span = _start_named(tracer, context, call)
    except Exception as error:  # the program goes on without a span
        faults.note("starting a span", error)
        return
    made = span.get_span_context()
    if span_id := made.span_id:
        call.span = span
        call.id = "%016x" % span_id  # noqa: UP031 - half the time of an f-string
        call.recording._run.span_contexts[call.id] = made


def _start_named(tracer: Tracer, context: Context, call: Call) -> Span:
    """Start the span of a call that has an operation, or attributes.

    They hold only what a sampler may want to see; the rest follows at the end if the span was sampled. Attributes given
    at the start are cleaned twice, which costs as much as a third of the span.
    """
    operation = _operation(call.kind, call.attributes)
    known = {key: value for key, value in _plain(call.attributes) if key in _AT_START} if call.attributes else {}
    kind = SpanKind.CLIENT if call.kind == "llm" or keys.PROVIDER_NAME in known else SpanKind.INTERNAL
    if operation:
        known[keys.OPERATION_NAME] = operation
    name = _span_name(operation, call.name, known) if operation else call.name
    return tracer.start_span(name, context, kind, known or None, start_time=call.start_ns)


def finish(call: Call) -> None:
    """End the span of a call that has ended with what its record says."""
    span: Span = call.span
    try:
        if span.is_recording():
            call.outlet.count()
            with_content = call.recording._run.is_content_wanted
            if with_content is None:
                with_content = wants_content(call.recording)
            if not (
                with_content or call.attributes or call.refs or call.parameter or call.error or call.kind in _OPERATIONS
            ):  # its site is the span's name
                run = call.recording._run
                if run.span is None:  # else that one tells the order, and an attribute costs a twentieth of a span
                    span.set_attribute(keys.SEQUENCE, f"{call.started} {call.ended}")
                if call.kind != "function":
                    span.set_attribute(keys.KIND, call.kind)
                span.set_attribute(keys.RUN_ID, run.run_id)
            else:
                _describe(span, call, with_content=with_content)
    except Exception as error:
        faults.note("describing a span", error)
    try:
        span.end(call.end_ns)
    except Exception as error:
        faults.note("ending a span", error)


def wants_content(recording: Recording) -> bool:
    """Tell whether content goes on the spans of this run; the environment is asked once per run."""
    run = recording._run
    if run.is_content_wanted is None:
        run.is_content_wanted = content.is_wanted()
    return run.is_content_wanted


def _describe(span: Span, call: Call, *, with_content: bool) -> None:
    """Give a span the attributes, links and status of its record.

    What a graph is rebuilt from comes last: a limit on attributes drops the oldest first.
    """
    record = call.record()
    described: dict[str, Any] = {}
    needed: dict[str, Any] = {}
    is_event = record.kind == "llm" and keys.PROVIDER_NAME in record.attributes and eventing.is_wanted()
    if with_content or is_event:
        left = redaction.record(record)
        if is_event:
            context = trace.set_span_in_context(span, Context())
            eventing.emit(left, dict(_plain(left.attributes)), context, call.end_ns)
        if with_content:
            record = left
            described.update(content.of_record(record))
    described.update(_plain(record.attributes, with_content=with_content))
    if record.kind == "tool":
        described[keys.TOOL_NAME] = clean(record.name)
        if record.description and with_content:
            described[keys.TOOL_DESCRIPTION] = clean(record.description)
    if record.parameter is not None:
        needed[keys.PROMPT_NAME] = clean(record.parameter.name)
        needed[keys.PROMPT_VERSION] = call.parameter.text_hash if call.parameter else ""
    if record.error is not None:
        needed[keys.ERROR_TYPE] = clean(record.error.partition(":")[0])
    needed[keys.SITE] = clean(record.name)
    needed[keys.KIND] = clean(record.kind)
    needed[keys.SEQUENCE] = f"{record.start} {record.end}"
    needed[keys.RUN_ID] = record.run_id
    if with_content:
        needed.update(record_attributes(record))
        if call.owns_recording:
            needed[keys.RUN] = _owned_header(call, record)
    elif record.refs:
        needed[keys.REFS] = orjson.dumps(_arguments(record.refs)).decode()
    room = [key for key in described if key not in needed][: _MAX_ATTRIBUTES - len(needed)]
    span.set_attributes({**{key: described[key] for key in room}, **needed})
    for ref in record.refs:
        if (source := contexts(call.recording).get(ref.source)) is not None:
            path, at = (clean(ref.path), clean(ref.source_path)) if with_content else (_argument(ref.path), "")
            span.add_link(source, {"tracediff.path": path, "tracediff.source_path": at})
    if record.error is not None:
        message = clean(record.error) if with_content else needed[keys.ERROR_TYPE]
        span.set_status(Status(StatusCode.ERROR, message))


def _owned_header(call: Call, record: SpanRecord) -> str:
    """Return the header of a run that nobody but this call opened: its output is the run's."""
    ended = call.error is None
    refs = (Ref("output", record.id, "", 1),) if ended else ()
    run = RunFile(record.run_id, "", (), record.output if ended else None, refs, is_output_inferred=True)
    return header_to_json(run, records=len(call.recording._ended))


def _argument(path: str) -> str:
    """Return the argument that a path begins with; what follows may be a key of the program's data."""
    return clean(path.partition(".")[0].partition("[")[0])


def _arguments(refs: tuple[Ref, ...]) -> list[list[Any]]:
    """Return references down to their arguments, each source of an argument once."""
    found = {(_argument(ref.path), ref.source): ref.producers for ref in refs}
    return [[argument, source, "", producers] for (argument, source), producers in found.items()]


def _operation(kind: str, attributes: Mapping[str, Any] | None) -> str | None:
    """Return the GenAI operation of a call, None for a plain function."""
    named = (attributes or {}).get(keys.OPERATION_NAME)
    return named if isinstance(named, str) else _OPERATIONS.get(kind)


def _span_name(operation: str | None, site: str, known: Mapping[str, Any]) -> str:
    """Return ``{operation} {model}``; a site stands for the model where there is none, alone without an operation."""
    target = known.get(keys.REQUEST_MODEL) or site
    return f"{operation} {target}" if operation else site


def _plain(attributes: Mapping[str, Any], *, with_content: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that a span can carry: scalars, and lists of one scalar type.

    Without content, only those that never hold any.
    """
    for key, value in attributes.items():
        if key in (keys.YIELDS, keys.REQUEST_SETTINGS):
            continue
        if not (with_content or key in _NO_CONTENT_KEYS or key.startswith(_NO_CONTENT)):
            continue
        items = value if isinstance(value, list) else [value]
        kinds = {type(item) for item in items}
        if len(kinds) != 1 or not kinds <= {str, bool, int, float}:
            continue
        if kinds == {str}:
            items = [clean(item) for item in items]
        elif kinds == {int} and not all(-(2**63) <= item < 2**63 for item in items):
            continue  # OTLP has no room for it; the record has
        yield key, items if isinstance(value, list) else items[0]


def contexts(recording: Recording) -> dict[str, trace.SpanContext]:
    """Return the span contexts of the run that ``recording`` belongs to."""
    return recording._run.span_contexts
