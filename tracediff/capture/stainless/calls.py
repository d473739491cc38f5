"""What a client's call needs of its record beyond what any traced call does."""

from __future__ import annotations

from typing import Any

from opentelemetry.context import Context

from tracediff.capture import spans
from tracediff.capture.context import Scope, current_context, current_scope, enter_context, hide_span, with_scope
from tracediff.capture.recorder import Call
from tracediff.capture.records import Ref
from tracediff.capture.shapes import is_shared
from tracediff.capture.snapshot import CAPS, Walk, enter
from tracediff.capture.values import Value


def attach_client(call: Call) -> Any:
    """Make the call of a client the parent of what follows; return the token for ``detach``.

    Spans of a provider that only tracediff knows are hidden for its time: a client that propagates the current span
    (anthropic does) would add a header to the request that the program alone does not send.
    """
    if not spans.is_private():
        return None if call.span is None else call.attach()  # nothing but spans has a place below a client's call
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


_PLAIN = frozenset({"role", "content", "name", "type", "text", "id", "tool_call_id"})
"""Fields of a message that never hold a secret."""
_MAX_MESSAGES = 500


def taken_plainly(value: object, argument: str, run: Any, refs: list[Ref]) -> list[Value] | None:
    """Return the snapshot of messages that are flat mappings of texts, as most are; None for all others.

    What a walk makes of them, reference by reference, at a fifth of its cost, which every call of a client pays.
    """
    if type(value) is not list or len(value) > _MAX_MESSAGES:
        return None
    look, room, found, chars = run.table.get, CAPS.leaf_chars, [], CAPS.chars
    messages: list[Value] = []
    if (entry := look(id(value))) is not None and not is_shared(value):
        found.append(Ref(argument, entry[1], entry[2], entry[3]))
    for position, message in enumerate(value):
        if type(message) is not dict:
            return None
        if (entry := look(id(message))) is not None:
            found.append(Ref(f"{argument}[{position}]", entry[1], entry[2], entry[3]))
        kept: dict[Value, Value] = {}
        for name, text in message.items():
            if name not in _PLAIN or type(text) is not str or len(text) > room:
                return None
            chars -= len(text)
            if len(text) > 1 and (entry := look(id(text))) is not None:
                found.append(Ref(f"{argument}[{position}].{name}", entry[1], entry[2], entry[3]))
            kept[name] = text
        messages.append(kept)
    if chars < 0:
        return None
    refs += found
    return messages


def put_out(call: Call, output: object) -> object:
    """Return what is left to give to ``call.end``: the commonest output, one text, is taken at once."""
    text = output.get("content") if type(output) is dict and len(output) == 1 else None
    if type(text) is not str or len(text) > CAPS.leaf_chars:
        return output
    run = call.recording._run
    with run.lock:
        if len(text) > 1:
            enter(run.table, text, call.id, "content")
    call.output = {"content": text}
    return None


def take(call: Call, argument: str, value: object) -> None:
    """Take an argument that became known only while the call ran: an iterator that the client itself consumed."""
    run = call.recording._run
    with run.lock:
        call.refs = call.refs or []
        call.inputs[argument] = Walk(run.table, refs=call.refs).take(value, argument)


def hold(call: Call, path: str, value: object) -> None:
    """Note an object that stands at ``path`` of the output and is not looked into, so that it is recognised."""
    run = call.recording._run
    with run.lock:
        enter(run.table, value, call.id, path)
