"""What a client's call needs of its record beyond what any traced call does."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace

from tracediff.capture import spans
from tracediff.capture.context import Scope, current_context, current_scope, enter_context, with_scope
from tracediff.capture.recorder import _SPAN_KEY, Call
from tracediff.capture.snapshot import Walk, enter


def attach_client(call: Call) -> Any:
    """Make the call of a client the parent of what follows; return the token for ``call.detach``.

    Spans of a provider that only tracediff knows are hidden for its time: a client that propagates the current span
    (anthropic does) would add a header to the request that the program alone does not send.
    """
    if call.span is None or not spans.is_private():
        return call.attach()
    scope, run = current_scope(), call.recording._run
    candidate = None if scope is None else scope.candidate
    context = with_scope(current_context(), Scope(candidate, call.recording, call.id, call.recording.is_trial))
    current = trace.get_current_span(context).get_span_context()
    if f"{current.span_id:016x}" in run.span_contexts:
        dict.__setitem__(context, _SPAN_KEY, run.outer_span or trace.INVALID_SPAN)
    return enter_context(context)


def take(call: Call, argument: str, value: object) -> None:
    """Take an argument that became known only while the call ran: an iterator that the client itself consumed."""
    run = call.recording._run
    with run.lock:
        call.inputs[argument] = Walk(run.table, refs=call.refs).take(value, argument)


def hold(call: Call, path: str, value: object) -> None:
    """Note an object that stands at ``path`` of the output and is not looked into, so that it is recognised."""
    run = call.recording._run
    with run.lock:
        enter(run.table, value, call.id, path)
