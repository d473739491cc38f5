"""What the spans of calls say: names, kinds, attributes, links and status, by the GenAI conventions.

Loaded when the first span is made: a program that exports nothing never pays for it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from tracediff import attributes as keys
from tracediff.capture import consent, content, eventing, redaction
from tracediff.capture.content import clean, record_attributes
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.runfile import RunFile, header_to_json
from tracediff.capture.snapshot import CAPS, Walk
from tracediff.capture.spans import OPERATIONS

if TYPE_CHECKING:
    from tracediff.capture.recorder import Call

_AT_START = (keys.PROVIDER_NAME, keys.REQUEST_MODEL, keys.SERVER_ADDRESS, keys.SERVER_PORT)
_MAX_ATTRIBUTES = 40 - len(_AT_START) - 2
"""Set at the end of a span, at most. OpenTelemetry's default limit is 128, and it drops the oldest first."""
_NO_CONTENT = ("gen_ai.request.", "gen_ai.response.", "gen_ai.usage.", "server.")
_NO_CONTENT_KEYS = frozenset({
    keys.OPERATION_NAME, keys.PROVIDER_NAME, keys.OUTPUT_TYPE, keys.CONVERSATION_ID, keys.TOOL_TYPE, keys.TOOL_CALL_ID,
    keys.RETRIEVAL_TOP_K, keys.FAULT, keys.UNFINISHED, keys.ERROR_TYPE,
})  # fmt: skip
"""Attributes of a record that leave without content export: settings and figures, never what a user added."""
_NEVER = (keys.YIELDS, keys.REQUEST_SETTINGS)
_SCALARS = frozenset({str, bool, int, float})


def start_named(tracer: Tracer, context: Context, call: Call) -> Span:
    """Start the span of a call that has an operation, or attributes.

    They hold only what a sampler may want to see; the rest follows at the end if the span was sampled. Attributes given
    at the start are cleaned twice, which costs as much as a third of the span.
    """
    given = call.attributes
    operation = _operation(call.kind, given)
    known = dict(_plain({key: given[key] for key in _AT_START if key in given})) if given else {}
    kind = SpanKind.CLIENT if call.kind == "llm" or keys.PROVIDER_NAME in known else SpanKind.INTERNAL
    if operation:
        known[keys.OPERATION_NAME] = operation
    name = _span_name(operation, call.name, known) if operation else call.name
    return tracer.start_span(name, context, kind, known or None, start_time=call.start_ns)


def describe(span: Span, call: Call, *, with_content: bool) -> None:
    """Give a span the attributes, links and status of its record.

    What a graph is rebuilt from comes last: a limit on attributes drops the oldest first. Without content no record is
    made: it would be read for its figures only.
    """
    described: dict[str, Any] = {}
    needed: dict[str, Any] = {}
    name, kind, error, refs = call.name, call.kind, call.error, call.refs
    is_event = kind == "llm" and keys.PROVIDER_NAME in (call.attributes or {}) and consent.in_events()
    if with_content or is_event:
        record = redaction.record(call.record())
    if is_event:
        context = set_span_in_context(span, Context())
        eventing.emit(record, dict(_plain(record.attributes)), context, call.end_ns)
    if with_content:
        name, kind, error, refs = record.name, record.kind, record.error, list(record.refs)
        described.update(content.of_record(record))
        described.update(_plain(record.attributes, with_content=True))
    elif call.attributes:
        described.update(_plain(call.attributes))
    if kind == "tool":
        described[keys.TOOL_NAME] = clean(name)
        if call.description and with_content:
            described[keys.TOOL_DESCRIPTION] = clean(record.description)
    if call.parameter is not None:
        needed[keys.PROMPT_NAME] = clean(call.parameter.name)
        needed[keys.PROMPT_VERSION] = call.parameter.text_hash
    if error is not None:
        needed[keys.ERROR_TYPE] = clean(error.partition(":")[0])
    needed[keys.SITE] = clean(name)
    needed[keys.KIND] = clean(kind)
    needed[keys.SEQUENCE] = f"{call.started} {call.ended}"
    needed[keys.RUN_ID] = call.recording.run_id
    if with_content:
        needed.update(record_attributes(record))
        if call.owns_recording:
            needed[keys.RUN] = _owned_header(call, record)
    elif refs:
        needed[keys.REFS] = orjson.dumps(_arguments(refs)).decode()
    if len(described) + len(needed) > _MAX_ATTRIBUTES:
        room = [key for key in described if key not in needed][: _MAX_ATTRIBUTES - len(needed)]
        described = {key: described[key] for key in room}
    described.update(needed)
    span.set_attributes(described)
    contexts = call.recording._run.span_contexts
    for ref in refs:
        if (source := contexts.get(ref.source)) is not None:
            path, at = (clean(ref.path), clean(ref.source_path)) if with_content else (_argument(ref.path), "")
            span.add_link(source, {"tracediff.path": path, "tracediff.source_path": at})
    if error is not None:
        message = clean(error) if with_content else needed[keys.ERROR_TYPE]
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


def _arguments(refs: list[Ref]) -> list[list[Any]]:
    """Return references down to their arguments, each source of an argument once."""
    found = {(_argument(ref.path), ref.source): ref.producers for ref in refs}
    return [[argument, source, "", producers] for (argument, source), producers in found.items()]


def _operation(kind: str, attributes: Mapping[str, Any] | None) -> str | None:
    """Return the GenAI operation of a call, None for a plain function."""
    named = (attributes or {}).get(keys.OPERATION_NAME)
    return named if isinstance(named, str) else OPERATIONS.get(kind)


def _span_name(operation: str | None, site: str, known: Mapping[str, Any]) -> str:
    """Return ``{operation} {model}``; a site stands for the model where there is none, alone without an operation."""
    target = known.get(keys.REQUEST_MODEL) or site
    return f"{operation} {target}" if operation else site


def _plain(attributes: Mapping[str, Any], *, with_content: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that a span can carry: scalars, and lists of one scalar type.

    Without content, only those that never hold any.
    """
    for key, value in attributes.items():
        if not _may_leave(key, with_content):
            continue
        kind = type(value)
        if kind is bool or kind is float:
            yield key, value
        elif kind is int:
            if -(2**63) <= value < 2**63:  # OTLP has no room for others; the record has
                yield key, value
        elif kind is str and len(value) <= CAPS.leaf_chars:
            yield key, value if value.isascii() else clean(value)
        elif kind is list and len(value) == 1 and type(value[0]) is str and len(value[0]) <= CAPS.leaf_chars:
            yield key, [clean(value[0])]  # finish reasons, as most are
        elif (carried := _carried(value)) is not None:
            yield key, carried


@functools.lru_cache(maxsize=512)
def _may_leave(key: str, with_content: bool) -> bool:
    """Tell whether a span may carry an attribute at all."""
    if key in _NEVER:
        return False
    return with_content or key in _NO_CONTENT_KEYS or key.startswith(_NO_CONTENT)


def _carried(value: Any) -> Any:
    """Return what a span can carry of a value that is no plain scalar, None where it is nothing."""
    kept: Any = Walk().take(value)
    items: list[Any] = kept if isinstance(kept, list) else [kept]
    kinds = {type(item) for item in items}
    if len(kinds) != 1 or not kinds <= _SCALARS:
        return None
    if kinds == {str}:
        items = [clean(item) for item in items]
    elif kinds == {int} and not all(-(2**63) <= item < 2**63 for item in items):
        return None
    return items if isinstance(kept, list) else items[0]
