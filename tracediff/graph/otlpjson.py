"""OTLP JSON to plain spans: documents, or one a line; ids in hex or base64, 64-bit numbers as strings."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tracediff.errors import DataError

Source: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any]"
"""A file of OTLP JSON (one document, or one a line), or such a document."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened during a span."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """What is read of an exported span."""

    trace_id: str
    id: str
    parent_id: str | None
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    events: tuple[Event, ...] = ()
    scope: str = ""
    """Name of the instrumentation that made it."""
    dropped: int = 0
    """How many attributes a limit has dropped."""
    is_error: bool = False
    message: str = ""


def spans_in(source: Source) -> Iterator[Span]:
    """Yield the spans of a document or a file, in the order they stand there. Raises DataError."""
    for document, where in _documents(source):
        try:
            yield from _spans(document)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise DataError(f"{where}: this is no OTLP JSON ({type(error).__name__}: {error})") from error


def _spans(document: Mapping[str, Any]) -> Iterator[Span]:
    for resource in _some(document, "resourceSpans", "resource_spans"):
        for scope in _some(resource, "scopeSpans", "scope_spans"):
            name = str((scope.get("scope") or {}).get("name", ""))
            for span in _some(scope, "spans"):
                yield _span(span, name)


def _some(holder: Mapping[str, Any], *names: str) -> Any:
    """Return the list of the first name that stands there; an absent or null list is empty."""
    return next((holder[name] for name in names if holder.get(name)), ())


def _span(span: Mapping[str, Any], scope: str) -> Span:
    status = span.get("status") or {}
    events = tuple(
        Event(str(event.get("name", "")), _number(event, "timeUnixNano"), _attributes(event))
        for event in _some(span, "events")
    )
    return Span(
        trace_id=_identity(span.get("traceId"), 16),
        id=_identity(span.get("spanId"), 8),
        parent_id=_identity(span.get("parentSpanId"), 8) or None,
        name=str(span.get("name", "")),
        kind=_enumerated(span.get("kind")),
        start_ns=_number(span, "startTimeUnixNano"),
        end_ns=_number(span, "endTimeUnixNano"),
        attributes=_attributes(span),
        events=events,
        scope=scope,
        dropped=_number(span, "droppedAttributesCount"),
        is_error=status.get("code") in (2, "2", "STATUS_CODE_ERROR"),
        message=str(status.get("message") or ""),
    )


def _enumerated(kind: Any) -> int:
    """Return a span kind; some writers give its name."""
    if isinstance(kind, int):
        return kind
    names = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
    name = str(kind or "").removeprefix("SPAN_KIND_")
    return names.index(name) if name in names else 0


def _identity(text: Any, size: int) -> str:
    """Return an id in hex; plain protobuf JSON has it in base64. An absent or zero id is empty."""
    if not isinstance(text, str) or not text:
        return ""
    if len(text) != 2 * size:
        raw = base64.b64decode(text, validate=True)
        if len(raw) != size:
            raise ValueError(f"an id of {len(raw)} bytes, expected {size}")
        text = raw.hex()
    return "" if not text.strip("0") else text.lower()


def _number(holder: Mapping[str, Any], name: str) -> int:
    return int(holder.get(name) or 0)


def _attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {str(item["key"]): _value(item.get("value") or {}) for item in _some(holder, "attributes")}


def _value(value: Mapping[str, Any]) -> Any:
    """Return an OTLP AnyValue as a Python value; 64-bit integers come as strings in JSON."""
    match value:
        case {"stringValue": text}:
            return text
        case {"boolValue": flag}:
            return flag
        case {"intValue": number}:
            return int(number)
        case {"doubleValue": number}:
            return float(number)
        case {"arrayValue": array}:
            return [_value(item) for item in _some(array or {}, "values")]
        case {"kvlistValue": pairs}:
            return {str(item["key"]): _value(item.get("value") or {}) for item in _some(pairs or {}, "values")}
        case _:
            return None


def _documents(source: Source) -> Iterator[tuple[Mapping[str, Any], str]]:
    if isinstance(source, Mapping):
        yield _document(source, "the mapping"), "the mapping"
        return
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: can't be read ({error}); expected OTLP JSON") from error
    try:
        whole = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        whole = None  # one document a line, as the collector's file exporter writes it
    if whole is not None:
        for document in whole if isinstance(whole, list) else [whole]:
            yield _document(document, str(path)), str(path)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                document = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise DataError(f"{path}:{number}: no JSON ({error}); expected OTLP JSON") from error
            yield _document(document, f"{path}:{number}"), f"{path}:{number}"


def _document(found: Any, where: str) -> Mapping[str, Any]:
    """Return a document that may hold spans; the collector writes logs and metrics into files like this one too."""
    kinds = ("resourceSpans", "resource_spans", "resourceLogs", "resourceMetrics")
    if not isinstance(found, Mapping) or not any(kind in found for kind in kinds):
        raise DataError(f'{where}: expected OTLP JSON with "resourceSpans"')
    return found
