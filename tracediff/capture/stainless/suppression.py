"""Who suppressed instrumentation: the program, or a tool that traces the very call and wants no second span.

Logfire does the latter by default. A span of ours would then stand twice, so there is none; but a recording that the
user opened is no span, and what it is for needs every call.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context

from tracediff.capture.callsite import is_library
from tracediff.capture.context import Scope


def is_recorded(scope: Scope | None) -> bool:
    """Tell whether a recording is open around the running code."""
    recording = None if scope is None else scope.recording
    while recording is not None and not recording.is_open:
        recording = recording.outer
    return recording is not None


def is_by_tracing_tool(client: str, context: Context) -> bool:
    """Tell whether a tool around a call of the package ``client`` has its span of the call open.

    Looked for are the frames between the user's function and the client's request: one of a tool holds the current
    span. A program that suppresses has its own frames outside of these, whether spans of its own are open or not.
    """
    current = trace.get_current_span(context).get_span_context()
    if not current.is_valid:
        return False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        package = module.partition(".")[0]
        if module == "asyncio.events":
            return False
        if package not in (client, "tracediff"):
            if not is_library(frame.f_code.co_filename, package):
                return False
            if any(_is_span(value, current) for value in frame.f_locals.values()):
                return True
        frame = frame.f_back
    return False


def _is_span(value: Any, wanted: trace.SpanContext) -> bool:
    """Tell whether a local is the span ``wanted``, or a tool's object around it."""
    try:
        found = value.get_span_context()
    except Exception:  # any object of any program
        return False
    return isinstance(found, trace.SpanContext) and found.span_id == wanted.span_id
