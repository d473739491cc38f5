"""What a client's call needs of its record beyond what any traced call does."""

from __future__ import annotations

from typing import Any

from opentelemetry.context import Context

from tracediff.capture import spans
from tracediff.capture.context import Scope, current_context, current_scope, enter_context, with_scope
from tracediff.capture.recorder import Call, hide_span
from tracediff.capture.snapshot import Walk, enter


def attach_client(call: Call) -> Any:
    """Make the call of a client the parent of what follows; return the token for ``detach``.

    Spans of a provider that only tracediff knows are hidden for its time: a client that propagates the current span
    (anthropic does) would add a header to the request that the program alone does not send.
    """
    if not spans.is_private():
        return call.attach()
    scope = current_scope()
    candidate = None if scope is None else scope.candidate
    context = with_scope(current_context(), Scope(candidate, call.recording, call.id, call.recording.is_trial))
    hide_span(context)
    return enter_context(context)


def attach_nothing() -> Any:
    """Hide such a span from a client's call that is not recorded; return the token, None where there is none."""
    if not spans.is_private():
        return None
    context = Context(current_context())
    return enter_context(context) if hide_span(context) else None


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
