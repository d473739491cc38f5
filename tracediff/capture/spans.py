"""The export: each recorded call as an OpenTelemetry span, by the GenAI conventions, on the user's own provider.

The global provider is used as it is and never set. With the API's default provider nothing is exported and the check
costs less than a microsecond. The export is a copy: a span that was not sampled, a full queue or a dead collector
takes nothing from a recording.

A run that ``record`` or ``trace`` opened has a span of its own (``capture.runspan``). Exported but not recorded, the
outermost call is a run of its own: with content its span carries the run's header; without content no edges are
inferred in the program's time, so what its spans say of edges are the references by identity, which are known anyway.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context
from opentelemetry.environment_variables import OTEL_PYTHON_TRACER_PROVIDER
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, Span, Tracer

from tracediff import attributes as keys
from tracediff.capture import consent, exits
from tracediff.capture.context import below_ours
from tracediff.capture.faults import faults

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from tracediff.capture.delivery import ExportReport, Outlet
    from tracediff.capture.recorder import Call
    from tracediff.capture.recording import Recording

OPERATIONS = {"llm": "chat", "tool": "execute_tool", "retriever": "retrieval"}
"""Record kind -> GenAI operation; a record that names its own operation wins, other kinds have none."""
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
        self.description: Any = None
        """The module that knows what spans say, from the first way out on."""

    def to(self, provider: TracerProvider) -> tuple[Tracer, Outlet]:
        """Return the way out through a provider."""
        from tracediff.capture import description
        from tracediff.capture.delivery import SCOPE, Outlet

        self.description = description
        way = next((known for known in self.ways if known[1].provider is provider), None)
        if way is None:
            outlet = Outlet(provider)
            outlet.watch()
            exits.hold(provider, outlet.tell)
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


def is_apart() -> bool:
    """Tell whether spans go to a provider of their own beside a global one.

    Whoever uses that one must not get ours as parents: its collector never sees them.
    """
    chosen, known = _export.chosen, trace._TRACER_PROVIDER
    if chosen is None or known is None or known is chosen or type(known) in _SILENT:
        return False
    return getattr(known, "provider", known) is not getattr(
        chosen, "provider", chosen
    )  # some wrap one, as Logfire does


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
    return way_out()[1].report() if is_on() else _nothing()


def flush_export(timeout_s: float = 5.0) -> ExportReport:
    """Export what waits and return what became of it, after ``timeout_s`` at most, whatever the collector does."""
    return way_out()[1].flush(timeout_s) if is_on() else _nothing()


def shutdown_export(timeout_s: float = 5.0) -> ExportReport:
    """Shut down the provider that spans go to and return what became of them, after ``timeout_s`` at most.

    For the end of a program: what the provider gets afterwards, from anybody, is lost. What was not exported is logged.
    """
    return way_out()[1].shutdown(timeout_s) if is_on() else _nothing()


def _nothing() -> ExportReport:
    from tracediff.capture.delivery import ExportReport

    return ExportReport(0, ())


def start(call: Call, context: Context) -> None:
    """Start the span of a call that has begun in ``context``; the call's id becomes the span's."""
    try:
        way = _export.way
        if way is None or way[1].provider is not (_export.chosen or trace._TRACER_PROVIDER):
            way = way_out()
        tracer, call.outlet = way
        run = call.recording._run
        run.is_apart = is_apart()
        if run.is_apart:
            context = below_ours(context)
        if call.attributes is None and call.kind not in OPERATIONS:
            span = tracer.start_span(call.name, context, start_time=call.start_ns)
        else:
            span = _export.description.start_named(tracer, context, call)
    except Exception as error:  # the program goes on without a span
        faults.note("starting a span", error)
        return
    made = span.get_span_context()
    if span_id := made.span_id:
        call.span = span
        call.id = "%016x" % span_id  # noqa: UP031 - half the time of an f-string
        run.span_contexts[call.id] = made


def finish(call: Call) -> None:
    """End the span of a call that has ended with what its record says."""
    span: Span = call.span
    try:
        if span.is_recording():
            call.outlet.count()
            run = call.recording._run
            with_content = run.is_content_wanted
            if with_content is None:
                with_content = wants_content(call.recording)
            if with_content or call.attributes or call.refs or call.parameter or call.error or call.kind in OPERATIONS:
                _export.description.describe(span, call, with_content=with_content)
            else:  # its site is the span's name
                if run.span is None:  # else that one tells the order, and an attribute costs a twentieth of a span
                    span.set_attribute(keys.SEQUENCE, f"{call.started} {call.ended}")
                if call.kind != "function":
                    span.set_attribute(keys.KIND, call.kind)
                span.set_attribute(keys.RUN_ID, run.run_id)
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
        run.is_content_wanted = consent.on_spans()
    return run.is_content_wanted


def contexts(recording: Recording) -> dict[str, trace.SpanContext]:
    """Return the span contexts of the run that ``recording`` belongs to."""
    return recording._run.span_contexts
