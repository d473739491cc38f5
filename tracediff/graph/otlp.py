"""Exported spans to runs: OTLP JSON, as the collector's file exporter writes it, in any order and several runs mixed.

A span carries its whole record when content export is on (``tracediff.record`` and ``tracediff.refs``); the run's
outermost span carries what only the run knows: its output, its sample and its scores (``tracediff.run``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tracediff import attributes as keys
from tracediff.capture.content import record_from_attributes
from tracediff.capture.records import SpanRecord
from tracediff.capture.runfile import RunFile, run_from_header
from tracediff.errors import DataError

Source: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any]"
"""A file of OTLP JSON (one document, or one a line), or such a document."""


@dataclass(slots=True)
class ExportedRun:
    """What the spans of one run say."""

    run_id: str
    records: dict[str, SpanRecord] = field(default_factory=dict)
    header: str = ""
    edges: str = ""
    cut: list[str] = field(default_factory=list)
    """Names of spans whose record did not arrive whole."""
    bare: int = 0
    """Spans that carry no content."""

    def file(self) -> RunFile:
        """Return the run as if it had been saved and read again. Raises DataError when no record arrived."""
        if not self.records:
            raise DataError(
                f"the spans of run {self.run_id} carry no content ({self.bare} spans), so there is nothing to explain. "
                f"Set {keys.CAPTURE_CONTENT_VARIABLE}=SPAN_ONLY where they are made"
            )
        ordered = tuple(sorted(self.records.values(), key=lambda record: (record.end, record.id)))
        return run_from_header(self.header, self.run_id, ordered)

    def notes(self) -> tuple[str, ...]:
        """Return what is missing, in words."""
        said = []
        if self.cut:
            said.append(
                f"a length limit has cut the values of {len(self.cut)} spans, which are missing here: "
                f"{', '.join(sorted(set(self.cut))[:5])}. Raise OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"
            )
        if self.bare:
            said.append(f"{self.bare} spans carry no content and are missing here")
        if not self.header:
            said.append("the run's outermost span did not arrive, so its output is taken from the last call")
        return tuple(said)


def runs_in(source: Source) -> dict[str, ExportedRun]:
    """Return run id -> run, by first appearance; spans that are not tracediff's are passed over.

    Raises DataError for a file that can't be read or is no OTLP JSON.
    """
    runs: dict[str, ExportedRun] = {}
    for span in _spans(source):
        attributes = {item["key"]: _value(item.get("value", {})) for item in span.get("attributes", ())}
        run_id = attributes.get(keys.RUN_ID)
        if not isinstance(run_id, str):
            continue
        run = runs.setdefault(run_id, ExportedRun(run_id))
        if keys.RUN in attributes or keys.EDGES in attributes:
            run.header = attributes.get(keys.RUN, run.header)
            run.edges = attributes.get(keys.EDGES, run.edges)
        elif keys.RECORD not in attributes:
            run.bare += 1
        elif (record := record_from_attributes(attributes)) is None:
            run.cut.append(str(attributes.get(keys.SITE, span.get("name", "?"))))
        else:
            run.records[record.id] = record
    return runs


def run_in(source: Source, run_id: str | None = None) -> ExportedRun:
    """Return one run of ``source``: the one of that id, or the only one there is. Raises DataError otherwise."""
    runs = runs_in(source)
    if not runs:
        raise DataError("there are no spans of tracediff in this export")
    if run_id is None and len(runs) == 1:
        return next(iter(runs.values()))
    if run_id not in runs:
        asked = "name one with run_id=" if run_id is None else f"none is {run_id}"
        raise DataError(f"this export has {len(runs)} runs, {asked}: {', '.join(list(runs)[:10])}")
    return runs[run_id]


def _spans(source: Source) -> Iterator[Mapping[str, Any]]:
    for document in _documents(source):
        for resource in document.get("resourceSpans", ()):
            for scope in resource.get("scopeSpans", ()):
                yield from scope.get("spans", ())


def _documents(source: Source) -> Iterator[Mapping[str, Any]]:
    if isinstance(source, Mapping):
        yield source
        return
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: can't be read ({error}); expected OTLP JSON") from error
    try:
        yield _document(json.loads(text), str(path))
        return
    except json.JSONDecodeError:
        pass  # one document a line, as the collector's file exporter writes it
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield _document(json.loads(line), f"{path}:{number}")
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: no JSON ({error}); expected OTLP JSON") from error


def _document(found: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(found, Mapping) or "resourceSpans" not in found:
        raise DataError(f'{where}: expected OTLP JSON with "resourceSpans"')
    return found


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
            return [_value(item) for item in array.get("values", ())]
        case _:
            return None
