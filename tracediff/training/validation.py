"""Validation of a candidate against the incumbent: a seam with one policy today, the paper's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tracediff.scores import Score
from tracediff.training.candidates import Trained
from tracediff.training.evaluation import MAX_EXCLUDED, Evaluation, SampleResult
from tracediff.training.scoring import Scorer, Split


@dataclass(frozen=True, slots=True)
class Batch:
    """The training samples of a step, as the incumbent did on them."""

    ids: tuple[str, ...]
    """All that have a score, in the order drawn."""
    failing: tuple[str, ...]
    """Those below the threshold."""

    def joined(self, other: Batch) -> Batch:
        """Return both batches as one."""
        return Batch(self.ids + other.ids, self.failing + other.failing)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate replaces the incumbent, and why."""

    is_accepted: bool
    reason: str
    stage: str = ""
    """Where it was decided: ``subset``, ``batch`` or ``validation``."""
    score: float | None = None
    """Validation score, when the whole validation set was run."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two candidates on the samples that are valid for both."""

    incumbent: float
    candidate: float
    samples: int
    excluded: float
    """Share of the samples that are not valid for both."""

    @property
    def is_decisive(self) -> bool:
        """Enough samples are valid for both."""
        return self.samples > 0 and self.excluded <= MAX_EXCLUDED


class Validation(Protocol):
    """Says whether a candidate replaces the incumbent."""

    def judge(self, scorer: Scorer, incumbent: Trained, candidate: Trained, batch: Batch) -> Verdict:
        """Return the verdict; runs what it needs through ``scorer``."""
        ...


@dataclass(frozen=True, slots=True)
class GatedValidation:
    """The paper's: better on the failing samples, then on the batch, then on the whole validation set (algorithm 2).

    A tie never replaces the incumbent. The last stage stops as soon as the candidate can no longer win, which loses
    nothing: samples that the incumbent fails come first.
    """

    train: Split
    val: Split

    def judge(self, scorer: Scorer, incumbent: Trained, candidate: Trained, batch: Batch) -> Verdict:
        """Return the verdict of the first stage that the candidate does not win, or of the last."""
        for stage, ids in (("subset", batch.failing), ("batch", batch.ids)):
            split = self.train.only(ids)
            found = compared(scorer.results(incumbent, split), scorer.results(candidate, split), _loss)
            if refusal := _refusal(found, "the failing samples" if stage == "subset" else "the batch"):
                return Verdict(False, refusal, stage)
        return self._validated(scorer, incumbent, candidate)

    def _validated(self, scorer: Scorer, incumbent: Trained, candidate: Trained) -> Verdict:
        known = scorer.results(incumbent, self.val)
        known.sort(key=lambda result: math.inf if result.score is None else result.score.value)  # stable
        order = [result.sample_id for result in known]
        theirs: list[SampleResult] = []
        for start in range(0, len(order), scorer.chunk):
            theirs += scorer.results(candidate, self.val.only(order[start : start + scorer.chunk]))
            if len(theirs) < len(order) and not can_win(known, theirs):
                reason = f"it can no longer win on the validation samples, after {len(theirs)} of {len(order)}"
                return Verdict(False, reason, "validation")
        found = compared(known, theirs, _score)
        score = Evaluation(tuple(theirs)).mean
        if refusal := _refusal(found, "the validation samples"):
            return Verdict(False, refusal, "validation", score if found.is_decisive else None)
        reason = f"better on the validation samples: {found.candidate:.4g} over {found.incumbent:.4g}"
        return Verdict(True, reason, "validation", score)


def compared(
    incumbent: Sequence[SampleResult],
    candidate: Sequence[SampleResult],
    value: Callable[[SampleResult], Score | None],
) -> Comparison:
    """Return both means over the samples that are valid for both."""
    by_id = {result.sample_id: value(result) for result in incumbent}
    pairs = [(by_id.get(result.sample_id), value(result)) for result in candidate]
    valid = [(mine.value, theirs.value) for mine, theirs in pairs if mine is not None and theirs is not None]
    count = len(valid)
    if not count:
        return Comparison(math.nan, math.nan, 0, 1.0)
    mine, theirs = (math.fsum(pair[side] for pair in valid) / count for side in (0, 1))
    return Comparison(mine, theirs, count, 1 - count / len(pairs))


def can_win(incumbent: Sequence[SampleResult], candidate: Sequence[SampleResult]) -> bool:
    """Return whether the candidate may still be better overall if it does perfectly on all that is left."""
    by_id = {result.sample_id: result.score for result in candidate}
    gain: list[float] = []
    for result in incumbent:
        mine = result.score
        if result.sample_id not in by_id:
            gain.append(1.0 - (mine.value if mine is not None else 0.0))
        elif mine is not None and (theirs := by_id[result.sample_id]) is not None:
            gain.append(theirs.value - mine.value)
    return math.fsum(gain) > 0


def _refusal(found: Comparison, where: str) -> str:
    """Return why the candidate does not win; empty when it does."""
    if not found.is_decisive:
        return f"no decision: {found.excluded:.0%} of {where} have no score for both"
    if found.candidate > found.incumbent:
        return ""
    relation = "no better" if found.candidate == found.incumbent else "worse"
    return f"{relation} on {where}: {found.candidate:.4g} against {found.incumbent:.4g}"


def _loss(result: SampleResult) -> Score | None:
    return result.loss


def _score(result: SampleResult) -> Score | None:
    return result.score
