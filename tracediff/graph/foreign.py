"""Spans of other instrumentations as records, where tracediff's own are absent.

Read are the GenAI conventions of today (messages as JSON), of before (``gen_ai.prompt.N.content``), OpenInference and
Logfire. A model call that two instrumentations have seen is one call: of spans that lie in one another the outermost
with content counts, and none beside a span of ours. Some tools never make their span the current one, so nothing lies
in it; such a span is known by its time, and by the response's id or its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tracediff import attributes as keys
from tracediff.capture.records import SpanRecord
from tracediff.capture.values import Value
from tracediff.graph.foreignspan import Said, read_span
from tracediff.graph.otlpjson import Span


def foreign_runs(spans: Iterable[Span]) -> dict[str, list[SpanRecord]]:
    """Return trace id -> the records of a trace that tracediff has not seen; one without a model call is left out."""
    traces: dict[str, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    found: dict[str, list[SpanRecord]] = {}
    for trace_id, members in traces.items():
        tree = {span.id: span for span in members}
        said = {span.id: what for span in members if (what := read_span(span)) is not None}
        calls = _outermost(_joined(said, tree), tree, {})
        if not any(what.kind == "llm" for what in calls.values()):
            continue
        order = _order([tree[name] for name in calls], tree)
        found[trace_id] = [
            _record(tree[name], what, trace_id, *order[name], parent_id=_above(tree[name], tree, calls))
            for name, what in calls.items()
        ]
    return found


def adopted(
    records: dict[str, SpanRecord], mine: Mapping[str, Span], others: Iterable[Span], run_id: str
) -> dict[str, SpanRecord]:
    """Return the records of a run with the model calls in its traces that only another instrumentation saw.

    ``mine`` are the spans of all runs by id. What has a call of ours to a model above or below it is known already.
    """
    others = list(others)
    tree = {span.id: span for span in (*others, *mine.values())}
    known = {name: record for name, record in records.items() if record.kind not in ("function", "prompt")}
    said = {
        span.id: what
        for span in others
        if (what := read_span(span)) is not None and what.kind == "llm" and _run_of(span, tree, mine) == run_id
    }
    calls = _outermost(_joined(said, tree), tree, known)
    if not calls:
        return records
    step = 2 * len(calls) + 1
    spaced = {name: _spaced(record, step) for name, record in records.items()}
    events = sorted(
        [(record.start_ns, record.start) for record in spaced.values()]
        + [(record.end_ns, record.end) for record in spaced.values()]
    )
    moments = sorted((at, name, which) for name in calls for which, at in enumerate(_times(tree[name])))
    order: dict[str, list[int]] = {name: [0, 0] for name in calls}
    for number, (at, name, which) in enumerate(moments, 1):
        before = max((sequence for time_ns, sequence in events if time_ns <= at), default=0)
        order[name][which] = before + number
    for name, what in calls.items():
        parent = _above(tree[name], tree, spaced)
        spaced[name] = _record(tree[name], what, run_id, *order[name], parent_id=parent)
        if parent is not None and parent in records:
            spaced[name] = replace(spaced[name], name=f"{records[parent].name}:chat")
    return spaced


def _spaced(record: SpanRecord, step: int) -> SpanRecord:
    """Return a record with room between the run's sequence numbers."""
    attributes: Mapping[str, Value] = record.attributes
    if isinstance(yields := attributes.get(keys.YIELDS), list):
        spread: list[Value] = [at * step if isinstance(at, int) else at for at in yields]
        attributes = {**attributes, keys.YIELDS: spread}
    return replace(record, start=record.start * step, end=record.end * step, attributes=attributes)


def _times(span: Span) -> tuple[int, int]:
    return span.start_ns, max(span.start_ns, span.end_ns)


def _ancestors(span: Span, tree: Mapping[str, Span]) -> list[Span]:
    """Return the spans above one, the nearest first; a parent that did not arrive ends the way."""
    found: list[Span] = []
    seen = {span.id}
    while (parent := tree.get(span.parent_id or "")) is not None and parent.id not in seen:
        seen.add(parent.id)
        found.append(parent)
        span = parent
    return found


def _above(span: Span, tree: Mapping[str, Span], kept: Mapping[str, object]) -> str | None:
    """Return the nearest span above one that is kept."""
    return next((other.id for other in _ancestors(span, tree) if other.id in kept), None)


def _run_of(span: Span, tree: Mapping[str, Span], mine: Mapping[str, Span]) -> object:
    """Return the run that a foreign span lies in: that of the nearest span of ours above it."""
    nearest = next((other for other in _ancestors(span, tree) if other.id in mine), None)
    return None if nearest is None else nearest.attributes.get(keys.RUN_ID)


def _outermost(said: Mapping[str, Said], tree: Mapping[str, Span], known: Mapping[str, SpanRecord]) -> dict[str, Said]:
    """Return what spans said, model calls once: not those in another one, nor with one of ours above or below.

    A span without content gives way to one with content inside it.
    """
    covered: set[str] = set()
    for name in known:
        if name in tree:
            covered.update(other.id for other in _ancestors(tree[name], tree))
    full = {name: what for name, what in said.items() if what.kind != "llm" or what.has_content}
    models = {name for name, what in full.items() if what.kind == "llm"}
    outer = {
        name: what
        for name, what in full.items()
        if what.kind != "llm"
        or not (
            name in covered or any(other.id in models or other.id in known for other in _ancestors(tree[name], tree))
        )
    }
    seen = [_Seen.of(tree[name], record.output) for name, record in known.items() if name in tree]
    for name in sorted(outer, key=lambda name: _times(tree[name])):
        if (what := outer[name]).kind == "llm":
            this = _Seen.of(tree[name], what.output)
            if any(this.is_of_same_call(other) for other in seen):
                del outer[name]
            else:
                seen.append(this)
    return outer


@dataclass(frozen=True, slots=True)
class _Seen:
    """What tells whether two instrumentations, neither inside the other, have seen the same call of a model."""

    scope: str
    parent_id: str | None
    start_ns: int
    end_ns: int
    response_id: object
    text: str

    @classmethod
    def of(cls, span: Span, output: Value) -> _Seen:
        start, end = _times(span)
        return cls(span.scope, span.parent_id, start, end, span.attributes.get(keys.RESPONSE_ID), _text_of(output))

    def is_of_same_call(self, other: _Seen) -> bool:
        """Tell whether both are of one call. One instrumentation makes one span a call."""
        if self.scope == other.scope or self.start_ns > other.end_ns or other.start_ns > self.end_ns:
            return False
        if self.response_id is not None and other.response_id is not None:
            return self.response_id == other.response_id
        if self.text and other.text:
            return self.text == other.text
        is_around = (self.start_ns - other.start_ns) * (self.end_ns - other.end_ns) <= 0
        return is_around and self.parent_id == other.parent_id  # the content of one did not leave


def _text_of(output: Value) -> str:
    """Return the text of an answer, whoever wrote it down; empty where there is none."""
    content = output.get("content") if isinstance(output, dict) else None
    if isinstance(content, list):
        content = "".join(part for part in content if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _joined(said: dict[str, Said], tree: dict[str, Span]) -> dict[str, Said]:
    """Return what spans said, a streamed call of Logfire once: its answer stands on a moment's span of its own.

    The call's span in ``tree`` then ends with that moment.
    """
    ordered = sorted(said, key=lambda name: tree[name].start_ns)
    joined = dict(said)
    for position, name in enumerate(ordered):
        call = joined.get(name)
        if call is None or call.kind != "llm" or call.output is not None or not call.inputs:
            continue
        for later in ordered[position + 1 :]:
            answer, moment = joined.get(later), tree[later]
            is_moment = moment.start_ns == moment.end_ns and moment.parent_id == tree[name].parent_id
            if answer is not None and is_moment and answer.output is not None and answer.inputs == call.inputs:
                joined[name] = replace(call, output=answer.output)
                tree[name] = replace(tree[name], end_ns=max(tree[name].end_ns, moment.end_ns))
                del joined[later]
                break
    return joined


def _order(spans: list[Span], tree: Mapping[str, Span]) -> dict[str, tuple[int, int]]:
    """Return (start, end) as ranks by time; what lies in another span lies within it where the clock ties."""
    moments: list[tuple[int, int, str, int]] = []
    for span in spans:
        depth = len(_ancestors(span, tree))
        start, end = _times(span)
        moments += [(start, depth if start < end else depth + 1, span.id, 0), (end, -depth, span.id, 1)]
    ranks: dict[str, list[int]] = {span.id: [0, 0] for span in spans}
    for rank, (_, _, name, which) in enumerate(sorted(moments), 1):
        ranks[name][which] = rank
    return {name: (start, max(start, end)) for name, (start, end) in ranks.items()}


def _record(span: Span, said: Said, run_id: str, start: int, end: int, *, parent_id: str | None) -> SpanRecord:
    attributes: dict[str, Any] = dict(said.attributes)
    error = None
    if span.is_error:
        kind = str(span.attributes.get(keys.ERROR_TYPE) or "Error")
        error = f"{kind}: {span.message}" if span.message else kind
    return SpanRecord(
        id=span.id,
        run_id=run_id,
        parent_id=parent_id,
        name=said.name,
        kind=said.kind,
        start=start,
        end=max(start, end),
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        inputs=said.inputs,
        output=said.output,
        error=error,
        attributes=attributes,
    )
