"""Content as events beside the spans, opt-in: one log record a model call, by the GenAI conventions.

They go to the logger provider given to ``instrument``, else to the global one as it is; none is ever set. An event
belongs to the span of its call, so a call without one (not sampled, suppressed, no tracer provider) has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tracediff import attributes as keys
from tracediff.capture import content, exits
from tracediff.capture.faults import faults
from tracediff.capture.records import SpanRecord

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context


class _Logs:
    """Where events go: the provider given to ``instrument``, else the global one."""

    def __init__(self) -> None:
        self.chosen: LoggerProvider | None = None
        self.known: object = None
        """The one used last."""


_logs = _Logs()


def use_logger_provider(provider: LoggerProvider | None) -> None:
    """Send events to ``provider``; None returns to the global one."""
    _logs.chosen = provider


def emit(record: SpanRecord, described: Mapping[str, Any], context: Context, end_ns: int) -> None:
    """Emit the event of a model call: ``described`` and the messages, as they may leave. Never raises."""
    try:
        from opentelemetry._logs import LogRecord, SeverityNumber, get_logger_provider

        said = {**described, **content.of_model(record)}
        if record.error is not None:
            said[keys.ERROR_TYPE] = content.clean(record.error.partition(":")[0])
        provider = _logs.chosen or get_logger_provider()
        if provider is not _logs.known:
            _logs.known = provider
            exits.hold(provider)
        provider.get_logger("tracediff").emit(
            LogRecord(
                timestamp=end_ns,
                context=context,
                severity_number=SeverityNumber.INFO,
                attributes=said,
                event_name=keys.INFERENCE_EVENT,
            )
        )
    except Exception as error:  # never felt by the program
        faults.note("exporting an event", error)
