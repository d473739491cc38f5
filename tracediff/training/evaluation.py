"""Evaluation: what a program scores on samples, with its spread and what went wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracediff.capture.outgoing import NOT_SENT
from tracediff.errors import EngineRefused, EngineUnavailable, LostContext, UsageError
from tracediff.graph.runs import Run
from tracediff.parameters import Candidate
from tracediff.scores import Score
from tracediff.training.budget import Cost
from tracediff.training.execution import Execution, Executor
from tracediff.training.faults import Fault
from tracediff.training.metrics import Metric, measure
from tracediff.training.samples import Data, read_samples

MAX_EXCLUDED = 0.05
"""Share of samples that may be missing from a comparison before it decides nothing."""


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What one sample came to. Excluded samples (transport, lost context) have no score."""

    sample_id: str
    score: Score | None
    loss: Score | None
    """By ``loss_metric``; the same as ``score`` where there is none."""
    prediction: Any = None
    fault: Fault = ""
    message: str = ""
    cost: Cost = field(default_factory=Cost)
    seconds: float = 0.0
    labels: Mapping[str, Any] = field(default_factory=dict)
    run: Run | None = None
    """Kept only where a backward pass may need it."""

    @property
    def is_valid(self) -> bool:
        """It has a score."""
        return self.score is not None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of one candidate on some samples."""

    results: tuple[SampleResult, ...]
    """One per sample, in the order given."""

    @property
    def scores(self) -> dict[str, float]:
        """Sample id -> score, of the valid samples, in order."""
        return {result.sample_id: result.score.value for result in self.results if result.score is not None}

    @property
    def mean(self) -> float:
        """Mean score of the valid samples; NaN when there is none."""
        values = list(self.scores.values())
        return math.fsum(values) / len(values) if values else math.nan

    @property
    def spread(self) -> float:
        """Standard error of the mean; 0 for fewer than two valid samples."""
        values, mean = list(self.scores.values()), self.mean
        if len(values) < 2:
            return 0.0
        variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
        return math.sqrt(variance / len(values))

    @property
    def interval(self) -> tuple[float, float]:
        """About 95% confidence, within [0, 1]."""
        return max(0.0, self.mean - 1.96 * self.spread), min(1.0, self.mean + 1.96 * self.spread)

    @property
    def errors(self) -> dict[str, str]:
        """Sample id -> what went wrong there: the program's exception (it scores 0), or why it is excluded."""
        return {result.sample_id: result.message for result in self.results if result.fault}

    @property
    def excluded(self) -> tuple[str, ...]:
        """Ids of samples without a score: a transport fault outlasted its retries, or the context was lost."""
        return tuple(result.sample_id for result in self.results if not result.is_valid)

    @property
    def cost(self) -> Cost:
        """Model calls of the program and their tokens."""
        return sum((result.cost for result in self.results), Cost())


def judged(execution: Execution, metric: Metric, loss_metric: Metric | None, *, keep_run: bool) -> SampleResult:
    """Return what an execution scores. An exception of the program scores 0, and its text is the feedback."""
    score: Score | None
    loss: Score | None
    if execution.fault in {"transport", "lost"}:
        score = loss = None
    elif execution.fault:
        score = loss = Score(0.0, execution.message)
    else:
        score = measure(metric, execution.prediction, execution.sample)
        loss = score if loss_metric is None else measure(loss_metric, execution.prediction, execution.sample)
    return SampleResult(
        sample_id=execution.sample.id,
        score=score,
        loss=loss,
        prediction=execution.prediction,
        fault=execution.fault,
        message=execution.message,
        cost=execution.cost,
        seconds=execution.seconds,
        labels=execution.arguments.labels,
        run=execution.run if keep_run else None,
    )


def evaluate(
    program: Callable[..., Any] | object,
    data: Data,
    metric: Metric,
    *,
    candidate: Candidate | None = None,
    max_in_flight: int = 16,
) -> Evaluation:
    """Return the scores of a program on samples, run at the same time.

    A generator's items, and those of ``map``, ``filter`` and ``zip``, are made inside the run: the prediction is their
    list. Prompts that are read in another process (a ProcessPoolExecutor) are not the candidate's.

    >>> evaluate(str.upper, [{"input": "a", "answer": "A"}], lambda got, sample: got == sample["answer"]).mean
    1.0

    Args:
        program: A callable, sync or async, or an object with ``invoke``.
        data: Samples, or the path of a JSONL file of them.
        metric: ``metric(prediction, sample)`` returns a number in [0, 1] or a Score.
        candidate: Texts to use instead of the code's; also ``with using(candidate):`` around this call.
        max_in_flight: Samples at the same time.

    Raises:
        UsageError: A sample lacks what the program needs, a metric raised (MetricError), data is bad (DataError).
        EngineRefused: The program's model will never answer (bad key, unknown model), or rejects the request of every
            sample although no ``candidate`` is given.
        EngineUnavailable, LostContext: No sample could be scored.
    """
    if max_in_flight < 1:
        raise UsageError(f"max_in_flight must be at least 1, not {max_in_flight}")
    samples = read_samples(data)
    with Executor(program, max_in_flight=max_in_flight) as executor:
        results = executor.map(samples, candidate, lambda execution: judged(execution, metric, None, keep_run=False))
    evaluation = Evaluation(tuple(results))
    if len(evaluation.excluded) == len(results):
        raise_excluded(evaluation.results)
    if not candidate:
        refuse_rejected(evaluation.results)
    return evaluation


def told_failures(results: Sequence[SampleResult]) -> str:
    """Return what to say of a program that failed on most samples; empty for one that did not."""
    failed = [result for result in results if result.fault == "program"]
    return (
        f"; {len(failed)} of them failed, the first with {failed[0].message}" if 2 * len(failed) > len(results) else ""
    )


def refuse_rejected(results: Sequence[SampleResult]) -> None:
    """Raise EngineRefused when the program's model rejected a request on every sample: no text is to blame for that."""
    if results and all(result.fault == "rejected" for result in results):
        raise EngineRefused(
            f"the program's model rejected the request of every sample, first {results[0].sample_id!r}: "
            f"{results[0].message}. Check the request that the program makes: its options, its length, the model"
        )


def raise_excluded(results: Sequence[SampleResult]) -> None:
    """Raise the error that says why too many samples have no score."""
    missing = [result for result in results if not result.is_valid]
    share = f"{len(missing)} of {len(results)} samples have no score"
    lost = [result for result in missing if result.fault == "lost"]
    if lost and lost[0].message.startswith(NOT_SENT):
        raise LostContext(
            f"{share}: in sample {lost[0].sample_id!r} {lost[0].message}. Freeze this prompt in its file, or "
            "run `tracediff discover` again with samples like this one"
        )
    if lost:
        raise LostContext(
            f"{share}: in sample {lost[0].sample_id!r} the run's context was lost at {lost[0].message}. Code that runs "
            "in a thread or a worker which serves several runs does not know which one it works for: hand each piece "
            "of work over with contextvars.copy_context().run(function, ...), or make the call in the run's own thread"
        )
    raise EngineUnavailable(
        f"{share}: the program's model did not answer after retries, first in sample {missing[0].sample_id!r}: "
        f"{missing[0].message}. Try again later; what is finished is kept"
    )
