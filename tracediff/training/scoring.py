"""Scoring: candidates run on samples, once each, with cost and events written as they happen."""

from __future__ import annotations

import hashlib
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tracediff.autodiff.payload import text_of
from tracediff.engine import Engine, EngineReply, EngineRequest
from tracediff.errors import UsageError
from tracediff.training.budget import CallPurpose, Cost, Ledger
from tracediff.training.candidates import Trained
from tracediff.training.evaluation import SampleResult, judged
from tracediff.training.execution import Execution, Executor
from tracediff.training.journal import Event, Journal
from tracediff.training.metrics import Metric
from tracediff.training.samples import Sample, canonical
from tracediff.training.usage import call_cost, model_calls

MAX_SHOWN_CHARS = 2_000
"""Of an output that is written into an event, for people to read."""


@dataclass(frozen=True, slots=True)
class Split:
    """Named samples: ``train``, ``val`` or ``test``. Ids are unique within a split."""

    name: str
    samples: tuple[Sample, ...]

    @property
    def purpose(self) -> CallPurpose:
        """What runs on these samples are counted as."""
        return "forward" if self.name == "train" else "validation"

    def only(self, ids: Sequence[str]) -> Split:
        """Return the samples of these ids, in the order of the ids."""
        by_id = {sample.id: sample for sample in self.samples}
        return Split(self.name, tuple(by_id[id_] for id_ in ids))


class Scorer:
    """Scores candidates on samples, each pair once: what has a score is not run again."""

    def __init__(
        self,
        executor: Executor,
        metrics: tuple[Metric, Metric | None],
        journal: Journal,
        ledger: Ledger,
        on_samples: Callable[[str, int, int], None],
    ) -> None:
        self._executor = executor
        self._metric, self._loss_metric = metrics
        self._journal = journal
        self._ledger = ledger
        self._on_samples = on_samples
        self._lock = threading.Lock()
        self._cache: dict[tuple[str, str, str], SampleResult] = {}
        self.calls_per_run = 1
        """The most model calls that a run has made so far."""
        self._has_run = False
        self._done = 0

    @property
    def chunk(self) -> int:
        """How many samples run at the same time; between chunks a validation may stop."""
        return self._executor.max_in_flight

    def known(self, candidate: Trained, split: Split) -> list[SampleResult]:
        """Return the results that are there already, in order of the samples."""
        found = (self._cache.get(_key(candidate, split, sample.id)) for sample in split.samples)
        return [result for result in found if result is not None]

    def results(self, candidate: Trained, split: Split, *, with_runs: bool = False) -> list[SampleResult]:
        """Return one result per sample, in order; runs only what has no score yet (excluded samples run again).

        ``with_runs`` is for a backward pass: what was scored while the candidate was none to learn from, and whose run
        was let go, is run again. Raises BudgetReached before a chunk that the budget does not allow.
        """
        missing = [sample for sample in split.samples if self._lacks(candidate, split, sample.id, with_runs=with_runs)]
        excluded: dict[str, SampleResult] = {}
        with self._lock:
            self._done = 0

        def after(execution: Execution) -> SampleResult:
            result = self._judged(execution, candidate, split)
            with self._lock:
                self._done += 1
                self._on_samples(split.name, self._done, len(missing))
            return result

        for part in self._parts(missing, split.purpose):
            self._ledger.check(split.purpose, len(part) * self.calls_per_run)
            for result in self._executor.map(part, candidate.changes, after):
                if result.is_valid:
                    self._cache[_key(candidate, split, result.sample_id)] = result
                else:
                    excluded[result.sample_id] = result
        return [excluded.get(s.id) or self._cache[_key(candidate, split, s.id)] for s in split.samples]

    def _lacks(self, candidate: Trained, split: Split, sample_id: str, *, with_runs: bool) -> bool:
        found = self._cache.get(_key(candidate, split, sample_id))
        return found is None or (with_runs and found.run is None)

    def _parts(self, samples: Sequence[Sample], purpose: CallPurpose) -> Iterator[Sequence[Sample]]:
        """Yield the samples in chunks; where calls are limited the very first goes alone, to see what a run takes."""
        start = 0
        while start < len(samples):
            size = 1 if not self._has_run and self._ledger.is_limited(purpose) else self.chunk
            yield samples[start : start + size]
            start += size

    def keep_runs_of(self, candidate: Trained) -> None:
        """Let go of all runs but those of ``candidate`` on training samples; the scores stay."""
        for key, result in self._cache.items():
            if key[:2] != (candidate.hash, "train") and result.run is not None:
                self._cache[key] = replace(result, run=None)

    def _judged(self, execution: Execution, candidate: Trained, split: Split) -> SampleResult:
        """Return what a run scores; its cost and its events are written first. Called in workers."""
        self._ledger.spend(split.purpose, execution.cost)
        with self._lock:
            self.calls_per_run = max(self.calls_per_run, execution.cost.calls)
            self._has_run = True
        sample = f"{split.name}/{execution.sample.id}"
        self._journal.append_all(_call_events(execution, candidate, sample, split.purpose))
        is_looked_at = split.name == "train" or not candidate.changes  # by a backward pass, or for its parameters
        result = judged(execution, self._metric, self._loss_metric, keep_run=is_looked_at)
        body = {
            "score": result.score and result.score.value,
            "loss": result.loss and result.loss.value,
            "feedback": (result.loss and result.loss.feedback) or (result.score and result.score.feedback) or "",
            "prediction": text_of(execution.run.output, MAX_SHOWN_CHARS),
            "fault": result.fault,
            "message": result.message,
            "calls": result.cost.calls,
            "tokens": result.cost.tokens,
            "seconds": round(result.seconds, 6),
        }
        self._journal.append(Event("score", body, candidate.hash, sample))
        return result


def _key(candidate: Trained, split: Split, sample_id: str) -> tuple[str, str, str]:
    return candidate.hash, split.name, sample_id


def _call_events(execution: Execution, candidate: Trained, sample: str, purpose: CallPurpose) -> list[Event]:
    """Return one event per model call of a run; equal requests are numbered in order."""
    events: list[Event] = []
    seen: dict[str, int] = {}
    for record in model_calls(execution.run.records):
        request = hashlib.sha256(repr(sorted(record.inputs.items())).encode("utf-8", "replace")).hexdigest()[:16]
        cost = call_cost(record)
        body = {
            "purpose": purpose,
            "site": record.name,
            "input_tokens": cost.input_tokens,
            "output_tokens": cost.output_tokens,
            "output": text_of(record.output, MAX_SHOWN_CHARS),
            "error": record.error,
        }
        events.append(Event("call", body, candidate.hash, sample, request, seen.get(request, 0)))
        seen[request] = seen.get(request, 0) + 1
    return events


class MeteredEngine:
    """An engine whose calls are allowed by the budget, counted and written to the journal before they are used."""

    def __init__(self, engine: Engine, journal: Journal, ledger: Ledger) -> None:
        self._engine = engine
        self._journal = journal
        self._ledger = ledger
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}

    def __call__(self, request: EngineRequest) -> EngineReply:
        """Answer one request; raise BudgetReached when it may not be made."""
        self._ledger.reserve(request.purpose)
        try:
            reply = _checked(self._engine(request), self._engine)
            self._ledger.spend(request.purpose, Cost(1, reply.input_tokens, reply.output_tokens))
        finally:
            self._ledger.release(request.purpose)
        key = request_hash(request)
        with self._lock:
            occurrence = self._seen.get(key, 0)
            self._seen[key] = occurrence + 1
        body = {
            "purpose": request.purpose,
            "attempt": request.attempt,
            "request": request.user,
            "text": reply.text,
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "finish_reason": reply.finish_reason,
            "model": reply.model,
        }
        self._journal.append(Event("engine", body, request=key, occurrence=occurrence))
        return reply


def _checked(reply: object, engine: object) -> EngineReply:
    """Return an engine's reply; raise UsageError when it is anything else."""
    if isinstance(reply, EngineReply):
        return reply
    advice = "return tracediff.engine.EngineReply(text, input_tokens, output_tokens)"
    if inspect.isawaitable(reply):
        advice = "an engine is a plain function, called from several threads"
        if inspect.iscoroutine(reply):
            reply.close()
    raise UsageError(f"the engine {engine!r} returned {type(reply).__name__}, not an EngineReply: {advice}")


def request_hash(request: EngineRequest) -> str:
    """First 16 hex digits of the SHA-256 of a request."""
    parts = [request.purpose, request.system, request.user, request.schema_name, request.schema, request.attempt]
    return hashlib.sha256(canonical(parts)).hexdigest()[:16]
