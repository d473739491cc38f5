"""The span of a run itself: open while the run is, current for everything inside, and last to be described.

Calls carry their records; what only the run knows (output, sample, scores, with content; the edges inferred in the
process, without) stands here. Scores that come after the end are evaluation events on short spans of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from tracediff import attributes as keys
from tracediff.capture import content, redaction, spans
from tracediff.capture.context import current_context
from tracediff.capture.faults import faults
from tracediff.scores import Score

if TYPE_CHECKING:
    from tracediff.capture.recording import Recording

RUN_KIND = "tracediff.run"
EVALUATION_KIND = "tracediff.evaluation"
"""Kinds of the spans that are no call's."""


def open_run(recording: Recording, name: str = "") -> None:
    """Start the span of a run when spans go anywhere; a recording inside another one is a part of its run."""
    try:
        context = current_context()
        if recording.outer is not None or not spans.is_on() or spans.is_suppressed(context):
            return
        known = {keys.OPERATION_NAME: keys.INVOKE_WORKFLOW}
        title = keys.INVOKE_WORKFLOW
        if name:
            known[keys.WORKFLOW_NAME] = name = content.clean(name)
            title = f"{title} {name}"
        span = _started(title, context, SpanKind.INTERNAL, known)
        made = span.get_span_context()
        if made.is_valid:
            run = recording._run
            run.span, run.is_apart = span, spans.is_apart()
            run.span_contexts[f"{made.span_id:016x}"] = made
    except Exception as error:  # the program goes on without a span
        faults.note("starting a run's span", error)


def _started(name: str, context: Context, kind: SpanKind, attributes: dict[str, Any] | None = None) -> Span:
    tracer, outlet = spans.way_out()
    outlet.watch()  # exporters may have been added since the last run
    return tracer.start_span(name, context, kind, attributes)


def _end(span: Span) -> None:
    if span.is_recording():
        spans.way_out()[1].count()
    span.end()


def is_exported(recording: Recording) -> bool:
    """Tell whether the run's own span is open and was sampled."""
    span = recording._run.span
    try:
        return recording.outer is None and span is not None and span.is_recording()
    except Exception as error:  # a provider of the program's own
        faults.note("asking whether a run is sampled", error)
        return False


def exported_calls(recording: Recording) -> int:
    """Return how many of a run's calls had a span; one under ``suppress_instrumentation`` has none."""
    known = spans.contexts(recording)
    return sum(call.id in known for call in recording._ended)


def close_run(recording: Recording, described: Mapping[str, Any], error: str | None) -> None:
    """End the span of a run whose calls have ended."""
    span = recording._run.span
    if span is None or recording.outer is not None:
        return
    try:
        _describe(span, recording, described)
        if error is not None:
            kind = content.clean(error.partition(":")[0])
            span.set_attribute(keys.ERROR_TYPE, kind)
            said = content.clean(redaction.error(error)) if spans.wants_content(recording) else kind
            span.set_status(Status(StatusCode.ERROR, said))
    except Exception as fault:
        faults.note("describing a run's span", fault)
    try:
        _end(span)
    except Exception as fault:
        faults.note("ending a run's span", fault)


def amend_run(recording: Recording, described: Mapping[str, Any]) -> None:
    """Export what became known of a run after its end, on a short span below the run's."""
    context = _below(recording)
    if context is None or not spans.is_on():
        return
    try:
        span = _started("tracediff.run", context, SpanKind.INTERNAL)
        _describe(span, recording, described)
        _end(span)
    except Exception as error:
        faults.note("exporting a run", error)


def _describe(span: Span, recording: Recording, described: Mapping[str, Any]) -> None:
    for key, value in {keys.KIND: RUN_KIND, keys.RUN_ID: recording.run_id, **described}.items():
        span.set_attribute(key, value)


def _below(recording: Recording) -> Context | None:
    """Return the context below the run's span, or that of its last outermost call; None where there is neither."""
    run = recording._run
    if run.span is not None:
        return trace.set_span_in_context(trace.NonRecordingSpan(run.span.get_span_context()))
    contexts = spans.contexts(recording)
    outermost = [call for call in recording._ended if call.id in contexts and call.parent_id not in contexts]
    if not outermost:
        return None
    return trace.set_span_in_context(trace.NonRecordingSpan(contexts[outermost[-1].id]))


def evaluated(recording: Recording, name: str, score: Score) -> None:
    """Export a judgement of a run as an evaluation event: on the run's span while it is open, else below it."""
    if not spans.is_on():
        return
    try:
        described: dict[str, Any] = {keys.EVALUATION_NAME: content.clean(name), keys.EVALUATION_SCORE: score.value}
        if score.feedback and spans.wants_content(recording):
            described[keys.EVALUATION_EXPLANATION] = content.clean(redaction.text(score.feedback))
        span = recording._run.span
        if span is not None and span.is_recording():
            span.add_event(keys.EVALUATION_EVENT, described)
            return
        if (context := _below(recording)) is None:
            return
        # A span that has ended takes no more events, so the event stands on a short span of its own.
        span = _started(f"evaluate {content.clean(name)}", context, SpanKind.INTERNAL)
        span.set_attributes({keys.KIND: EVALUATION_KIND, keys.RUN_ID: recording.run_id})
        span.add_event(keys.EVALUATION_EVENT, described)
        _end(span)
    except Exception as error:
        faults.note("exporting a score", error)
