"""Spans of other instrumentations as records, where tracediff's own are absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tracediff.capture.records import SpanRecord
from tracediff.graph.otlpjson import Span


def adopted(
    records: dict[str, SpanRecord], mine: Mapping[str, Span], others: Iterable[Span], run_id: str
) -> dict[str, SpanRecord]:
    """Return ``records`` with the model calls that only another instrumentation saw."""
    return records


def foreign_runs(spans: Iterable[Span]) -> dict[str, list[SpanRecord]]:
    """Return trace id -> records."""
    return {}
