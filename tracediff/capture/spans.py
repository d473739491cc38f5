"""The export: each recorded call as an OpenTelemetry span, by the GenAI conventions, on the user's own provider.

The global provider is used as it is and never set. With the API's default provider nothing is exported and the check
costs less than a microsecond. The export is a copy: a span that was not sampled, a full queue or a dead collector
takes nothing from a recording.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.environment_variables import OTEL_PYTHON_TRACER_PROVIDER
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, Span, SpanKind, Status, StatusCode, Tracer

from tracediff import attributes as keys
from tracediff.capture import content
from tracediff.capture.content import record_attributes, record_from_attributes
from tracediff.capture.context import current_context
from tracediff.capture.faults import faults
from tracediff.scores import Score

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from tracediff.capture.recorder import Call, Recording
    from tracediff.capture.records import SpanRecord

__all__ = [
    "evaluated",
    "finish",
    "is_on",
    "is_private",
    "record_attributes",
    "record_from_attributes",
    "start",
    "use_provider",
]

_OPERATIONS = {"llm": "chat", "tool": "execute_tool", "retriever": "retrieval"}
"""Record kind -> GenAI operation; a record that names its own operation wins, other kinds have none."""
_AT_START = (keys.PROVIDER_NAME, keys.REQUEST_MODEL, keys.SERVER_ADDRESS, keys.SERVER_PORT)
_MAX_ATTRIBUTES = 40 - len(_AT_START) - 3
"""Set at the end of a span. The default limit is 128, and it drops the oldest first: the required ones."""
_SILENT = (ProxyTracerProvider, NoOpTracerProvider)
_NAMED_BY_ENVIRONMENT = OTEL_PYTHON_TRACER_PROVIDER in os.environ
"""OpenTelemetry then makes the provider when it is first asked for."""


class _Export:
    """Where spans go: the provider given to ``instrument``, else the global one."""

    def __init__(self) -> None:
        self.chosen: TracerProvider | None = None


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


def is_private() -> bool:
    """Tell whether spans go to a provider that is not the global one, which the rest of the program does not know."""
    return _export.chosen is not None and _export.chosen is not trace._TRACER_PROVIDER


@functools.lru_cache(maxsize=4)
def _tracer(provider: TracerProvider) -> Tracer:
    """Return our tracer of a provider; making one costs more than a span."""
    return provider.get_tracer("tracediff")


def start(call: Call) -> None:
    """Start the span of a call that has begun; the call's id becomes the span's."""
    try:
        provider = _export.chosen or trace.get_tracer_provider()
        operation = _operation(call.kind, call.attributes)
        kind = SpanKind.CLIENT if call.kind == "llm" else SpanKind.INTERNAL
        # Only what a sampler may want to see; the rest follows at the end if the span was sampled.
        # Attributes given at the start are cleaned twice, which costs as much as a third of the span.
        known = {key: value for key, value in _plain(call.attributes) if key in _AT_START} if call.attributes else {}
        if operation:
            known[keys.OPERATION_NAME] = operation
        name = _span_name(operation, call.name, known) if operation else call.name
        span = _tracer(provider).start_span(name, current_context(), kind, known or None, start_time=call.start_ns)
    except Exception as error:  # the program goes on without a span
        faults.note("starting a span", error)
        return
    context = span.get_span_context()
    if context.is_valid:
        call.span = span
        call.id = f"{context.span_id:016x}"
        _contexts(call.recording)[call.id] = context


def finish(call: Call) -> None:
    """End the span of a call that has ended with what its record says."""
    span: Span = call.span
    try:
        if span.is_recording():
            is_bare = not (call.attributes or call.refs or call.parameter or call.error or call.kind in _OPERATIONS)
            if is_bare and not _wants_content(call):  # its site is the span's name
                span.set_attribute(keys.RUN_ID, call.recording.run_id)
                span.set_attribute(keys.KIND, call.kind)
            else:
                _describe(span, call.record(), _contexts(call.recording))
    except Exception as error:
        faults.note("describing a span", error)
    try:
        span.end(call.end_ns)
    except Exception as error:
        faults.note("ending a span", error)


def _wants_content(call: Call) -> bool:
    """Tell whether content goes on the spans of this run; the environment is asked once per run."""
    run = call.recording._run
    if run.is_content_wanted is None:
        run.is_content_wanted = content.is_wanted()
    return run.is_content_wanted


def _describe(span: Span, record: SpanRecord, contexts: Mapping[str, trace.SpanContext]) -> None:
    """Give a span the attributes, links and status of its record."""
    described: dict[str, Any] = {keys.RUN_ID: record.run_id, keys.SITE: record.name, keys.KIND: record.kind}
    if record.parameter is not None:
        described[keys.PROMPT_NAME] = record.parameter.name
        described[keys.PROMPT_VERSION] = record.parameter.text_hash
    if record.kind == "tool":
        described[keys.TOOL_NAME] = record.name
        if record.description:
            described[keys.TOOL_DESCRIPTION] = record.description
    if record.error is not None:
        described[keys.ERROR_TYPE] = record.error.partition(":")[0]
    is_content_wanted = content.is_wanted()
    if is_content_wanted:
        described.update(content.of_record(record))
    described.update(_plain(record.attributes))
    for key in list(described)[:_MAX_ATTRIBUTES]:
        span.set_attribute(key, described[key])
    for ref in record.refs:
        if (source := contexts.get(ref.source)) is not None:
            span.add_link(source, {"tracediff.path": ref.path, "tracediff.source_path": ref.source_path})
    if record.error is not None:
        message = record.error if is_content_wanted else record.error.partition(":")[0]
        span.set_status(Status(StatusCode.ERROR, message))


def _operation(kind: str, attributes: Mapping[str, Any] | None) -> str | None:
    """Return the GenAI operation of a call, None for a plain function."""
    named = (attributes or {}).get(keys.OPERATION_NAME)
    return named if isinstance(named, str) else _OPERATIONS.get(kind)


def _span_name(operation: str | None, site: str, known: Mapping[str, Any]) -> str:
    """Return ``{operation} {model}``; a site stands for the model where there is none, alone without an operation."""
    target = known.get(keys.REQUEST_MODEL) or site
    return f"{operation} {target}" if operation else site


def _plain(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that a span can carry and that hold no content: scalars, and lists of one scalar type."""
    for key, value in attributes.items():
        if key in (keys.YIELDS, keys.REQUEST_SETTINGS):
            continue
        kinds = {type(item) for item in value} if isinstance(value, list) else {type(value)}
        if len(kinds) == 1 and kinds <= {str, bool, int, float}:
            yield key, value


def evaluated(recording: Recording, name: str, score: Score) -> None:
    """Export a judgement of a run as an evaluation event, under the span of the run's last outermost call."""
    if not is_on():
        return
    try:
        contexts = _contexts(recording)
        ended = [call for call in recording._ended if call.id in contexts]
        outermost = [call for call in ended if call.parent_id not in contexts]
        if not outermost:
            return
        judged = trace.set_span_in_context(trace.NonRecordingSpan(contexts[outermost[-1].id]))
        provider = _export.chosen or trace.get_tracer_provider()
        described: dict[str, Any] = {keys.EVALUATION_NAME: name, keys.EVALUATION_SCORE: score.value}
        if score.feedback and content.is_wanted():
            described[keys.EVALUATION_EXPLANATION] = score.feedback
        # A span that has ended takes no more events, so the event stands on a short span of its own.
        span = _tracer(provider).start_span(
            f"evaluate {name}", context=judged, attributes={keys.RUN_ID: recording.run_id}
        )
        span.add_event(keys.EVALUATION_EVENT, described)
        span.end()
    except Exception as error:
        faults.note("exporting a score", error)


def _contexts(recording: Recording) -> dict[str, trace.SpanContext]:
    """Return the span contexts of the run that ``recording`` belongs to."""
    return recording._run.span_contexts
