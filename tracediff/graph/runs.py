"""Runs: what happened when a program was run once, kept for the graph."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracediff import attributes as keys
from tracediff.capture import redaction, runspan, spans
from tracediff.capture.context import carry_into_threads, current_scope
from tracediff.capture.faults import faults
from tracediff.capture.live import has_lost_context, note_lost_context
from tracediff.capture.recorder import error_text
from tracediff.capture.recording import Recording
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.runfile import RunFile, header_to_json, read_run, write_run
from tracediff.capture.values import Value
from tracediff.errors import DataError, UsageError
from tracediff.scores import Score

if TYPE_CHECKING:
    from tracediff.graph.graph import ParameterGraph


@dataclass(frozen=True, slots=True)
class Judgement:
    """A named score that a user or a metric gave a run."""

    name: str
    score: Score


class Run:
    """One execution of a program: its records, its output and its scores."""

    def __init__(self, recording: Recording) -> None:
        """Wrap a recording; ``record`` and ``trace`` make runs."""
        self.recording: Recording | None = recording
        self.result: Any = None
        """The very object that the program returned under ``trace``, or that ``set_output`` was given."""
        self.error: str | None = None
        """``TypeName: message`` of the exception that left the recorded block."""
        self.scores: tuple[Judgement, ...] = ()
        self._file: RunFile | None = None

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Return the run that ``save`` wrote. Raises DataError, naming file and line."""
        return cls.of(read_run(path))

    @classmethod
    def of(cls, file: RunFile) -> Run:
        """Return the run that a run file holds, or that exported spans say."""
        run = cls.__new__(cls)
        run.recording, run.result, run.error, run._file = None, None, file.error, file
        run.scores = tuple(Judgement(name, score) for name, score in file.scores)
        return run

    def __repr__(self) -> str:
        return f"<Run {self.run_id[:8]} sample={self.sample_id!r} records={len(self.records)}>"

    @property
    def records(self) -> tuple[SpanRecord, ...]:
        """The traced calls, in order of end."""
        return self._file.records if self.recording is None and self._file is not None else self._live.records

    @property
    def run_id(self) -> str:
        """32 hex digits. A run recorded inside another one is a view of its part and has its id."""
        return self._file.run_id if self.recording is None and self._file is not None else self._live.run_id

    @property
    def sample_id(self) -> str:
        """Id of the sample that the program ran on."""
        return self._file.sample_id if self.recording is None and self._file is not None else self._live.sample_id

    @property
    def lost(self) -> list[str]:
        """Sites that ran outside of the run's context while it was a trial: its score means nothing then."""
        return [] if self.recording is None else self.recording.lost

    @property
    def _live(self) -> Recording:
        assert self.recording is not None
        return self.recording

    def set_output(self, value: object) -> None:
        """Say what the result of the run is, in place of the last outermost record's output."""
        self.result = value
        self._live.set_output(value)
        if not self._live.is_open and self._live.outer is None and self._live._run.span is not None:
            runspan.amend_run(self._live, self._described())

    @property
    def is_output_inferred(self) -> bool:
        """True when nobody said what the output is, so it is that of the last outermost record."""
        if self.recording is None and self._file is not None:
            return self._file.is_output_inferred
        return not self._live.has_output

    @property
    def output(self) -> Value:
        """Snapshot of the run's result."""
        return self._result()[0]

    @property
    def output_refs(self) -> tuple[Ref, ...]:
        """Objects in the output that earlier calls put out; paths start with ``output``."""
        return self._result()[1]

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record the block into this run, which stays open; an exception is noted and closes it."""
        try:
            with self._live.attached():
                yield
        except BaseException as error:
            self.error = error_text(error)
            self.close()
            raise

    def close(self) -> None:
        """End the recording; calls that still run are kept as unfinished."""
        live = self._live
        if not live.is_open:
            return
        live.close()
        if runspan.is_exported(live):
            runspan.close_run(live, self._described(), self.error)
        else:
            runspan.close_run(live, {}, None)

    def _described(self) -> dict[str, str]:
        """Return what the run's own span says: the header where content may leave, else the edges; both if redacted.

        Edges are inferred here, in the program's time, because the texts they are inferred from stay here.
        """
        described: dict[str, str] = {}
        try:
            with_content = spans.wants_content(self._live)
            if with_content:
                described[keys.RUN] = header_to_json(self._shown(), records=runspan.exported_calls(self._live))
            if redaction.is_changing() or not with_content:
                from tracediff.graph.structure import MAX_INFERRED, to_text

                if len(self._live._ended) <= MAX_INFERRED:
                    described[keys.EDGES] = to_text(self.graph())
        except Exception as error:  # never felt by the program
            faults.note("describing a run", error)
        return described

    def _shown(self) -> RunFile:
        """Return the run as its header may leave."""
        output, refs = self._result()
        scores = tuple(
            (item.name, Score(item.score.value, redaction.text(item.score.feedback))) for item in self.scores
        )
        return RunFile(
            run_id=self.run_id,
            sample_id=redaction.text(self.sample_id),
            records=(),
            output=redaction.value(output),
            output_refs=tuple(redaction.ref(ref) for ref in refs),
            is_output_inferred=self.is_output_inferred,
            scores=scores,
            error=None if self.error is None else redaction.error(self.error),
            links=_links(),
        )

    def _result(self) -> tuple[Value, tuple[Ref, ...]]:
        if self.recording is None and self._file is not None:
            return self._file.output, self._file.output_refs
        if self._live.has_output:
            return self._live.output, self._live.output_refs
        records = self._live.records
        inside = {record.id for record in records}
        outermost = [record for record in records if record.parent_id not in inside]
        last = next((record for record in reversed(outermost) if record.error is None), None)
        return (None, ()) if last is None else (last.output, (Ref("output", last.id, "", 1),))

    def save(self, path: str | Path) -> None:
        """Write the run as JSON lines: a header, then one record a line. Raises DataError where it can't be written."""
        output, refs = self._result()
        file = RunFile(
            run_id=self.run_id,
            sample_id=self.sample_id,
            records=self.records,
            output=output,
            output_refs=refs,
            is_output_inferred=self.is_output_inferred,
            scores=tuple((judgement.name, judgement.score) for judgement in self.scores),
            error=self.error,
            links=_links() if self._file is None else self._file.links,
        )
        try:
            write_run(path, file)
        except OSError as error:
            why = error.strerror or error
            raise DataError(f"{path}: the run can't be written ({why}). Give a file in a folder that exists") from error

    def graph(self) -> ParameterGraph:
        """Return the parameter graph of this run."""
        from tracediff.graph.assembly import build
        from tracediff.graph.links import Link, stated

        output, refs = self._result()
        said = () if self._file is None else tuple(Link(*fields) for fields in self._file.links)  # type: ignore[arg-type]
        return build(
            self.records,
            output=output,
            output_refs=refs,
            sample_id=self.sample_id,
            run_id=self.run_id,
            links=tuple(dict.fromkeys([*said, *stated()])),
            error=self.error or "",
        )


@contextmanager
def record(*, sample_id: str = "", is_trial: bool = False) -> Iterator[Run]:
    """Record the block as one run. Inside another recording it is a view of its part of the outer one.

    ``is_trial`` is for trainers: a prompt read or a client call outside the run's context then marks ``run.lost``.

    >>> with record(sample_id="s1") as run:
    ...     run.set_output("done")
    >>> run.output
    'done'
    """
    run = _opened(sample_id, is_trial)
    with run.recorded():
        yield run
    run.close()


def _links() -> tuple[tuple[str, str, str, str], ...]:
    """Return the links that are stated in this process, as a run file keeps them."""
    from tracediff.graph.links import stated

    return tuple((link.source, link.target, link.argument, link.kind) for link in stated())


def _opened(sample_id: str = "", is_trial: bool = False, name: str = "") -> Run:
    """Return a run whose recording is open but not yet the current one."""
    carry_into_threads()
    scope = current_scope()
    if not is_trial and has_lost_context():
        note_lost_context("tracediff.record")
    recording = Recording(sample_id=sample_id, is_trial=is_trial, outer=None if scope is None else scope.recording)
    runspan.open_run(recording, name)
    return Run(recording)


def trace(program: object, /, *args: Any, **kwargs: Any) -> Any:
    """Run ``program`` once and return (its result, the run).

    The result is the very object the program returned, also set as the run's output; an exception leaves as it is
    (use ``record`` to keep the run then). The program is what ``entry`` takes: a callable, sync or async, or an object
    with ``invoke``. An async program runs to its end here; inside a running event loop an awaitable of the same pair
    comes back: ``result, run = await td.trace(...)``.
    """
    run, result = _started(program, args, kwargs)
    if not inspect.isawaitable(result):
        return _finished(run, result)
    awaited = _rest(run, result)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(awaited)
    weakref.finalize(awaited, run.close).atexit = False  # one that nobody awaits must not stay open
    return awaited


async def atrace(program: object, /, *args: Any, **kwargs: Any) -> tuple[Any, Run]:
    """Run an async (or sync) program once in a running event loop and return (its result, the run)."""
    run, result = _started(program, args, kwargs)
    return await _rest(run, result) if inspect.isawaitable(result) else _finished(run, result)


def _started(program: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Run, Any]:
    call = entry(program)
    run = _opened(name=getattr(program, "__qualname__", type(program).__qualname__))
    with run.recorded():
        return run, call(*args, **kwargs)


async def _rest(run: Run, result: Any) -> tuple[Any, Run]:
    with run.recorded():
        value = await result
    return _finished(run, value)


def _finished(run: Run, result: Any) -> tuple[Any, Run]:
    run.set_output(result)
    run.close()
    return result, run


def entry(program: object) -> Callable[..., Any]:
    """Return what is called to run ``program``: its ``invoke``, else its ``ainvoke``, else the program itself.

    ``invoke`` comes first: frameworks' objects that have both keep ``__call__`` for something older or lower. Raises
    UsageError for a class and for what can't be called.
    """
    if not isinstance(program, type):
        calls: tuple[Any, ...] = (getattr(program, "invoke", None), getattr(program, "ainvoke", None), program)
        found: Callable[..., Any] | None = next((call for call in calls if callable(call)), None)
        if found is not None:
            return found
    given = f"the class {program.__name__}" if isinstance(program, type) else type(program).__name__
    raise UsageError(f"a program is a callable or an object with invoke, not {given}")


def score(run: Run, value: float | Score, feedback: str = "", name: str = "score") -> Score:
    """Keep a judgement of ``run`` and return it; it is saved with the run and exported as an evaluation event."""
    judged = Score.of(value)
    if feedback:
        judged = Score(judged.value, feedback)
    run.scores = (*run.scores, Judgement(name, judged))
    if run.recording is not None:
        runspan.evaluated(run.recording, name, judged)
    return judged
