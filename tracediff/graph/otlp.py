"""Exported spans to runs: OTLP JSON, as the collector's file exporter writes it, in any order and several runs mixed.

A span carries its whole record when content export is on (``tracediff.record`` and ``tracediff.refs``); the run's
outermost span carries what only the run knows: its output, its sample and its scores (``tracediff.run``), or, where
content is off, the edges that were inferred in the process (``tracediff.edges``). Spans of other instrumentations
stand in where ours are absent (``graph.foreign``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tracediff import attributes as keys
from tracediff.capture import codec
from tracediff.capture.content import record_from_attributes
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.runfile import RunFile, run_from_header
from tracediff.capture.runspan import EVALUATION_KIND, RUN_KIND
from tracediff.capture.values import Placeholder, Value
from tracediff.errors import DataError
from tracediff.graph.foreign import adopted, foreign_runs
from tracediff.graph.graph import ParameterGraph
from tracediff.graph.links import Link, stated
from tracediff.graph.otlpjson import Source, Span, spans_in
from tracediff.graph.structure import MAX_INFERRED, from_text
from tracediff.parameters import Parameter
from tracediff.scores import Score

_ABSENT = Placeholder("output not exported", "opaque")
_ABSENT_INPUT = Placeholder("input not exported", "opaque")
"""Two, because a call that returns what it got only hands it through."""


@dataclass(slots=True)
class ExportedRun:
    """What the spans of one run say."""

    run_id: str
    records: dict[str, SpanRecord] = field(default_factory=dict)
    """Whole records, and for spans without one what their structure says, by span id."""
    stubs: set[str] = field(default_factory=set)
    """Ids of those that came without a record."""
    header: str = ""
    edges: str = ""
    described_ns: tuple[int, int] = (-1, -1)
    """End of the span that header and edges are from: what was said last counts."""
    scores: list[tuple[int, str, Score]] = field(default_factory=list)
    """(time, name, score) of evaluation events."""
    cut: list[str] = field(default_factory=list)
    """Names of spans whose record or header did not arrive whole."""
    bare: int = 0
    """Spans of calls that carry no content."""
    foreign: int = 0
    """Model calls that only another instrumentation has seen."""

    def file(self) -> RunFile:
        """Return the run as if it had been saved and read again. A header that was cut counts as none."""
        if self.stubs and any(self.records[name].start == self.records[name].start_ns for name in self.stubs):
            for name in self.stubs:  # some came without a sequence number: then their times order them all
                stub = self.records[name]
                self.records[name] = replace(stub, start=stub.start_ns, end=stub.end_ns)
        ordered = tuple(sorted(self.records.values(), key=lambda record: (record.end, record.id)))
        try:
            run = run_from_header(self.header, self.run_id, ordered)
        except DataError:
            self.cut.append("the run's own")
            self.header = ""
            run = run_from_header("", self.run_id, ordered)
        known = list(run.scores)
        later = [(name, score) for _, name, score in sorted(self.scores, key=lambda item: item[0])]
        return replace(run, scores=(*known, *(item for item in later if item not in known)))

    def graph(self) -> ParameterGraph:
        """Return the graph: rebuilt from records, or as it was inferred in the process where content did not leave."""
        from tracediff.graph.assembly import build

        run = self.file()
        if self.edges:
            whole = {record.id: record for record in run.records if record.id not in self.stubs}
            result = run.output if self.header else None
            try:
                return from_text(
                    self.edges,
                    records=whole,
                    run_id=self.run_id,
                    sample_id=run.sample_id,
                    result=result,
                    notes=self._notes_of_edges(len(whole)),
                )
            except DataError:
                self.cut.append("the run's own")
        if not run.records:
            raise DataError(f"no call of run {self.run_id} arrived, only its outermost span or its scores")
        output, refs = self._output(run)
        graph = build(
            run.records,
            output=output,
            output_refs=refs,
            sample_id=run.sample_id,
            run_id=self.run_id,
            notes=self.notes(),
            links=tuple(dict.fromkeys([*(Link(*said) for said in run.links), *stated()])),  # type: ignore[arg-type]
            error=run.error or "",
        )
        return replace(graph, result=None) if output is _ABSENT else graph

    def _output(self, run: RunFile) -> tuple[Value, tuple[Ref, ...]]:
        """Return the run's output; without a header it is the last outermost call's."""
        if self.header:
            return run.output, run.output_refs
        inside = {record.id for record in run.records}
        outermost = [record for record in run.records if record.parent_id not in inside and record.error is None]
        if not outermost:
            return None, ()
        last = outermost[-1]
        return (_ABSENT if last.output is None else last.output), (Ref("output", last.id, "", 1),)

    def notes(self) -> tuple[str, ...]:
        """Return what is missing, in words; nothing when the run arrived whole."""
        said: list[str] = []
        if self.cut:
            names = ", ".join(sorted(set(self.cut))[:5])
            said.append(
                f"a length limit has cut {len(self.cut)} spans ({names}): their values are missing here. "
                "Raise OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT, or the limit on attributes"
            )
        if self.bare:
            said.append(
                f"content export was off for {self.bare} calls: their values are missing here, and of the edges only "
                f"those by identity are known. Set {keys.CAPTURE_CONTENT_VARIABLE}=SPAN_ONLY, or run it under "
                f"tracediff.record, which exports the edges it infers for runs of up to {MAX_INFERRED} calls"
            )
        if self.foreign:
            said.append(f"{self.foreign} calls are known from spans of another instrumentation only")
        if (missing := self._missing()) > 0:
            said.append(f"{missing} calls of this run did not arrive (not sampled, or dropped by a full queue)")
        elif not self.header and not self.bare and not self.foreign:
            said.append("the run's outermost span did not arrive, so its output is taken from the last call")
        return tuple(said)

    def _missing(self) -> int:
        try:
            counted = codec.read_tree(self.header).get("records") if self.header else None
        except (DataError, AttributeError):
            return 0
        return counted - len(self.records) + self.foreign if isinstance(counted, int) else 0

    def _notes_of_edges(self, whole: int) -> tuple[str, ...]:
        said = ["the edges are those that were inferred in the process"]
        said.append(
            "texts were redacted or shortened before they left" if whole else "content export was off: no values"
        )
        if self.cut:
            said.append(f"a length limit has cut {len(self.cut)} spans: {', '.join(sorted(set(self.cut))[:5])}")
        return (": ".join(said[:2]), *said[2:])


def runs_in(source: Source) -> dict[str, ExportedRun]:
    """Return run id -> run, by id. Runs of other instrumentations alone follow, by the id of their trace.

    Raises DataError for a file that can't be read or is no OTLP JSON.
    """
    spans = list(spans_in(source))
    runs: dict[str, ExportedRun] = {}
    traces: dict[str, set[str]] = {}
    others: list[Span] = []
    for span in spans:
        run_id = _run_id(span)
        if run_id is None:
            others.append(span)
            continue
        traces.setdefault(span.trace_id, set()).add(run_id)
        _take(runs.setdefault(run_id, ExportedRun(run_id)), span)
    theirs = {id(span) for span in others}
    mine = {span.id: span for span in spans if id(span) not in theirs}
    for run_id, run in runs.items():
        beside = [span for span in others if traces.get(span.trace_id) is not None]
        found = adopted(run.records, mine, beside, run_id)
        run.foreign = len(found) - len(run.records)
        run.records = found
    known = set(traces)
    for trace_id, records in foreign_runs([span for span in others if span.trace_id not in known]).items():
        runs[trace_id] = ExportedRun(trace_id, {record.id: record for record in records}, foreign=len(records))
    return runs


def run_in(source: Source, run_id: str | None = None) -> ExportedRun:
    """Return one run of ``source``: the one of that id, or the only one there is. Raises DataError otherwise.

    Without an id, traces that only another instrumentation has seen count where there is no run of tracediff.
    """
    runs = runs_in(source)
    if not runs:
        raise DataError(
            "there are no runs in this export: no span of tracediff, and no span of another instrumentation that "
            "holds the messages of a model call"
        )
    if run_id is not None:
        if run_id not in runs:
            raise DataError(f"this export has {len(runs)} runs, none is {run_id}: {_listed(runs)}")
        return runs[run_id]
    own = {name: run for name, run in runs.items() if run.foreign < len(run.records) or not run.records} or runs
    if len(own) > 1:
        raise DataError(f"this export has {len(own)} runs, name one with run_id=: {_listed(own)}")
    return next(iter(own.values()))


def _listed(runs: Mapping[str, ExportedRun]) -> str:
    names = list(runs)
    return ", ".join(names[:50]) + (f" and {len(names) - 50} more" if len(names) > 50 else "")


def _run_id(span: Span) -> str | None:
    """Return the id of the run that a span of ours belongs to; a limit on attributes may have left only its record."""
    run_id = span.attributes.get(keys.RUN_ID)
    if run_id is None and keys.RECORD in span.attributes and (record := record_from_attributes(span.attributes)):
        return record.run_id
    return run_id if isinstance(run_id, str) else None


def _take(run: ExportedRun, span: Span) -> None:
    """Add what one of our spans says to its run."""
    said = span.attributes
    for event in span.events:
        if event.name == keys.EVALUATION_EVENT and isinstance(
            value := event.attributes.get(keys.EVALUATION_SCORE), float | int
        ):
            feedback = str(event.attributes.get(keys.EVALUATION_EXPLANATION, ""))
            name = str(event.attributes.get(keys.EVALUATION_NAME, "score"))
            run.scores.append((event.time_ns, name, Score(float(value), feedback)))
    header, edges = said.get(keys.RUN), said.get(keys.EDGES)
    if (header or edges) and (at := (span.end_ns, span.start_ns)) >= run.described_ns:
        run.described_ns, run.header, run.edges = at, str(header or run.header), str(edges or run.edges)
    is_run = said.get(keys.OPERATION_NAME) == keys.INVOKE_WORKFLOW and keys.RECORD not in said
    if is_run or said.get(keys.KIND) in (RUN_KIND, EVALUATION_KIND):
        if span.dropped:
            run.cut.append(span.name)
        return
    record = record_from_attributes(said)
    if record is None:
        if keys.RECORD in said or span.dropped:
            run.cut.append(str(said.get(keys.SITE, span.name)))
        else:
            run.bare += 1
        record = _stub(span, run.run_id)
        run.stubs.add(record.id)
    run.records[record.id] = record


def _stub(span: Span, run_id: str) -> SpanRecord:
    """Return the record of a span without one: site, kind, order and references, but no values."""
    said = span.attributes
    start, end = _sequence(span)
    refs = _refs(said.get(keys.REFS))
    arguments = dict.fromkeys(ref.path.partition(".")[0].partition("[")[0] for ref in refs)
    name = said.get(keys.PROMPT_NAME)
    kind = str(said.get(keys.KIND, "function"))
    return SpanRecord(
        id=span.id,
        run_id=run_id,
        parent_id=span.parent_id,
        name=str(said.get(keys.SITE, span.name)),
        kind=kind,
        start=start,
        end=end,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        inputs=dict.fromkeys(arguments, _ABSENT_INPUT),
        output=None if keys.ERROR_TYPE in said else _ABSENT,
        refs=refs,
        error=str(said[keys.ERROR_TYPE]) if keys.ERROR_TYPE in said else None,
        parameter=Parameter(str(name), "") if name is not None and kind == "prompt" else None,
    )


def _sequence(span: Span) -> tuple[int, int]:
    """Return the run's sequence numbers of a span; where they were cut, its times."""
    try:
        start, end = map(int, str(span.attributes.get(keys.SEQUENCE)).split())
    except ValueError:
        return span.start_ns, span.end_ns
    return start, end


def _refs(text: Any) -> tuple[Ref, ...]:
    try:
        return tuple(codec.refs_from_tree(json.loads(text))) if isinstance(text, str) else ()
    except (ValueError, TypeError, DataError):
        return ()


def graph_in(source: Source, run_id: str | None = None) -> ParameterGraph:
    """Return the graph of one run of an export; see ``run_in``."""
    return run_in(source, run_id).graph()
