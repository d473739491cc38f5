"""Trainer: the one loop of a training run (LLM-AutoDiff, arXiv 2501.16673, algorithm 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, NoReturn

from tracediff.capture.recorder import error_text
from tracediff.engine import Engine
from tracediff.errors import EngineUnavailable, UsageError
from tracediff.optim.base import Evidence, Optimizer, Outcome, Proposal
from tracediff.training.budget import BudgetReached, Cost, Ledger
from tracediff.training.candidates import Parameters, Trained
from tracediff.training.evaluation import (
    MAX_EXCLUDED,
    Evaluation,
    SampleResult,
    raise_excluded,
    refuse_rejected,
    told_failures,
)
from tracediff.training.evidence import Critic, check_losses, evidence_from_examples, evidence_from_gradients
from tracediff.training.journal import Event, Journal
from tracediff.training.progress import Progress, ProgressEvent, ProgressKind
from tracediff.training.proposals import checked
from tracediff.training.result import Attempt, Result, StopReason, Trial
from tracediff.training.sampling import Sampling
from tracediff.training.scoring import Scorer, Split
from tracediff.training.validation import Batch, Validation, Verdict

MAX_OUTAGES = 2
"""Steps in a row in which the critic answers for no sample, before the run gives up."""


@dataclass(frozen=True, slots=True)
class Options:
    """Numbers and switches of the loop."""

    max_steps: int = 12
    proposals: int = 4
    """Proposals a step at most, one after the other; each sees the earlier failed ones."""
    patience: int | None = None
    """Steps in a row without an acceptance before the run stops; None: never."""
    max_carries: int = 2
    """How often a batch is carried forward, each time joined by a new one, before it is let go."""
    one_at_a_time: bool = False
    gradients: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop works with."""

    scorer: Scorer
    critic: Critic
    proposer: Engine
    optimizer: Optimizer[Any]
    sampling: Sampling
    validation: Validation
    parameters: Parameters
    ledger: Ledger
    journal: Journal
    train: Split
    val: Split
    test: Split | None
    program: str
    progress: Progress | None
    save_best: Callable[[dict[str, str]], None]


class _Stop(Exception):
    """The loop is over."""

    def __init__(self, reason: StopReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Trainer:
    """One training run. ``run`` returns its result; the object is used once."""

    def __init__(self, parts: Parts, options: Options) -> None:
        self.parts = parts
        self.options = options
        self.incumbent = Trained()
        self.history: list[Trial] = []
        self.curve: list[float] = []
        self.step = 0
        self.steps_without = 0
        self.carried: tuple[Batch, Evidence] | None = None
        self.carries = 0
        self.last_target = ""
        self.outages = 0

    def run(self) -> Result:
        """Return what was found. A budget that is reached is a clean stop, also while the start is scored."""
        parts = self.parts
        start_val: Evaluation | None = None
        start_test: Evaluation | None = None
        try:
            start_val = self._score_start(parts.val)
            check_losses(parts.critic.losses, start_val.results)
            parts.parameters.check(parts.program)
            self._keep()
            start_test = self._score_test()
            size = len(start_val.results)
            said = f"start: {start_val.mean:.3f} on {size} validation samples{told_failures(start_val.results)}"
            self._tell("start", said, start_val.mean)
            self._loop(start_val)
        except _Stop as stop:
            reason, message = stop.reason, str(stop)
        except BudgetReached as reached:
            reason, message = "budget", str(reached)
            if start_val is None:
                self._keep_start()
        except BaseException as error:
            # What the caller must change makes the start's scores useless.
            is_void = self.step == 0 and isinstance(error, UsageError)
            parts.journal.append(Event("stop", {"reason": "error", "message": error_text(error), "is_void": is_void}))
            raise
        return self._result(start_val or self._validated(), start_test, reason, message)

    def _keep_start(self) -> None:
        """Save the texts of a start that was not scored whole: what its runs have read, else what the code declares."""
        parts = self.parts
        results = parts.scorer.known(self.incumbent, parts.val)
        self._learn(results)
        if not results:
            parts.parameters.learn_declared()
        self._keep()

    def _loop(self, start: Evaluation) -> NoReturn:
        """Run the steps of algorithm 2; always ends by raising the reason to stop."""
        parts, options = self.parts, self.options
        state = parts.optimizer.init(parts.parameters.texts(self.incumbent), start.mean)
        while True:
            if min(self._validated().scores.values()) >= 1.0:
                raise _Stop("perfect", "every validation sample scores 1")
            if self.step == options.max_steps:
                raise _Stop("max_steps", f"{options.max_steps} steps are done")
            if options.patience is not None and self.steps_without >= options.patience:
                raise _Stop("patience", f"{self.steps_without} steps without an improvement")
            self.step += 1
            batch, whole = self._next_batch()
            evidence = self._narrowed(whole)
            self._tell("step", f"step {self.step}: {len(batch.failing)} of {len(batch.ids)} samples fail")
            is_accepted = False
            for round_ in range(1, options.proposals + 1):
                if not evidence.targets or is_accepted:
                    break
                proposed = parts.optimizer.propose(state, evidence, parts.proposer, self._at_once)
                proposals = checked(proposed, parts.parameters.current(self.incumbent))
                candidate, verdict = self._judged(proposals, batch)
                is_accepted = verdict.is_accepted
                self._note(round_, proposals, candidate, verdict, batch)
                ends_step = is_accepted or round_ == options.proposals
                texts = parts.parameters.texts(candidate)
                outcome = Outcome(proposals, is_accepted, verdict.reason, verdict.score, texts, ends_step)
                state = parts.optimizer.observe(state, outcome)
                if is_accepted:
                    self.incumbent = candidate
                    self._keep()
            self._end_step(batch, whole, is_accepted=is_accepted)

    def _next_batch(self) -> tuple[Batch, Evidence]:
        """Return the step's batch with what is known of it: a new one, joined to the one that is carried forward.

        What was criticised before is not criticised again: the incumbent is the same.
        """
        if self.carried is None:
            batch = self._drawn()
            return batch, self._criticised(batch)
        carried, known = self.carried
        fresh = self._drawn(carried.ids)
        evidence = self._criticised(fresh) if fresh.failing else Evidence(known.parameters, ())
        return carried.joined(fresh), known.joined(evidence)

    def _drawn(self, carried: tuple[str, ...] = ()) -> Batch:
        """Return a batch with something below the threshold; passing batches cost no backward and no proposal.

        Beside a batch that is carried forward one draw is enough: there is something to learn from already.
        """
        parts = self.parts
        drawn: list[SampleResult] = []
        for _ in range(parts.sampling.max_draws):
            ids = [id_ for id_ in parts.sampling.draw() if id_ not in carried]
            results = parts.scorer.results(self.incumbent, parts.train.only(ids), with_runs=True)
            self._learn(results)
            drawn += results
            valid = [result for result in results if result.loss is not None]
            failing = [r.sample_id for r in valid if r.loss is not None and r.loss.value < parts.critic.threshold]
            parts.journal.append(
                Event("batch", {"step": self.step, "samples": ids, "failing": failing}, self.incumbent.hash)
            )
            if failing or carried:
                return Batch(tuple(result.sample_id for result in valid), tuple(failing))
        self.step -= 1
        self._refuse_excluded(drawn)
        raise _Stop("nothing_below_threshold", f"no training sample scores below {parts.critic.threshold:g}")

    def _criticised(self, batch: Batch) -> Evidence:
        """Return what the backward pass says of a batch, or the raw runs where that is switched off."""
        parts = self.parts
        split = parts.train.only(batch.ids)
        runs = list(zip(split.samples, parts.scorer.results(self.incumbent, split, with_runs=True), strict=True))
        parameters = parts.parameters.current(self.incumbent)
        if not self.options.gradients:
            return evidence_from_examples(runs, parameters, parts.critic.threshold)
        self._tell("backward", f"criticising {len(batch.failing)} samples")
        try:
            evidence, gradients = evidence_from_gradients(parts.critic, runs, parameters)
        except EngineUnavailable as error:
            self.outages += 1
            if self.outages > MAX_OUTAGES:
                raise
            parts.journal.append(Event("outage", {"step": self.step, "message": str(error)}, self.incumbent.hash))
            return Evidence(parameters, ())
        self.outages = 0
        parts.journal.append_all(
            [
                Event(
                    "gradient", {**_gradient_body(gradient), "step": self.step}, self.incumbent.hash, gradient.sample_id
                )
                for found in gradients.parameters.values()
                for gradient in found
            ]
        )
        return evidence

    def _narrowed(self, evidence: Evidence) -> Evidence:
        """Return the evidence with the next parameter as its only target, where they are changed one at a time."""
        if not self.options.one_at_a_time or not evidence.targets:
            return evidence
        order = list(evidence.parameters)
        after = order.index(self.last_target) if self.last_target in order else -1
        self.last_target = next((t for t in evidence.targets if order.index(t) > after), evidence.targets[0])
        return replace(evidence, targets=(self.last_target,))

    def _at_once(self, asks: Sequence[Callable[[], Proposal]]) -> list[Proposal]:
        """Return what each ask gives, in order; all run at the same time."""
        if len(asks) == 1:
            return [asks[0]()]
        with ThreadPoolExecutor(min(len(asks), self.parts.critic.max_in_flight)) as pool:
            return [future.result() for future in [pool.submit(ask) for ask in asks]]

    def _judged(self, proposals: Sequence[Proposal], batch: Batch) -> tuple[Trained, Verdict]:
        """Return the candidate that joins the usable proposals, and what became of it."""
        parts = self.parts
        for proposal in proposals:
            parts.journal.append(Event("proposal", {**asdict(proposal), "step": self.step}, self.incumbent.hash))
            state = "; ".join(proposal.problems) or "to be tried"
            self._tell("proposal", f"{proposal.parameter} [{proposal.method or '-'}]: {state}")
        texts = {proposal.parameter: proposal.text for proposal in proposals if proposal.is_usable}
        candidate = parts.parameters.with_texts(self.incumbent, texts)
        if candidate == self.incumbent:
            problems = dict.fromkeys(p for proposal in proposals for p in proposal.problems or ("it changes nothing",))
            return self.incumbent, Verdict(False, "no usable proposal: " + "; ".join(problems), "proposal")
        body = {"texts": dict(candidate.changes), "step": self.step}
        parts.journal.append(Event("candidate", body, candidate.hash))
        return candidate, parts.validation.judge(parts.scorer, self.incumbent, candidate, batch)

    def _note(
        self, round_: int, proposals: Sequence[Proposal], candidate: Trained, verdict: Verdict, batch: Batch
    ) -> None:
        """Write a decision into journal and history."""
        hash_ = candidate.hash if verdict.stage != "proposal" else ""
        body = {"step": self.step, "round": round_, **asdict(verdict), "incumbent": self.incumbent.hash}
        self.parts.journal.append(Event("decision", body, hash_))
        attempts = tuple(Attempt(p.parameter, p.text, p.method, p.reasoning, p.problems) for p in proposals)
        self.history.append(
            Trial(
                step=self.step,
                round=round_,
                candidate=hash_,
                attempts=attempts,
                is_kept=verdict.is_accepted,
                reason=verdict.reason,
                stage=verdict.stage,
                score=verdict.score,
                samples=batch.ids,
            )
        )
        verb = "kept" if verdict.is_accepted else "dropped"
        self._tell("decision", f"{verb}: {verdict.reason}", verdict.score, is_accepted=verdict.is_accepted)

    def _end_step(self, batch: Batch, evidence: Evidence, *, is_accepted: bool) -> None:
        """Carry the batch forward when nothing was accepted, for a bounded number of times."""
        self.curve.append(self._validated().mean)
        self.steps_without = 0 if is_accepted else self.steps_without + 1
        if is_accepted or not evidence.targets or self.carries == self.options.max_carries:
            self.carried, self.carries = None, 0
        else:
            self.carried, self.carries = (batch, evidence), self.carries + 1

    def _score_start(self, split: Split) -> Evaluation:
        """Return the start's evaluation; raise when too many samples can't be scored for any comparison later."""
        results = self.parts.scorer.results(self.incumbent, split)
        self._learn(results)
        self._refuse_excluded(results)
        refuse_rejected(results)
        return Evaluation(tuple(results))

    @staticmethod
    def _refuse_excluded(results: Sequence[SampleResult]) -> None:
        if sum(not result.is_valid for result in results) > MAX_EXCLUDED * len(results):
            raise_excluded(results)

    def _score_test(self) -> Evaluation | None:
        """Return the start's evaluation on the test samples, with as much set aside for the best; None if too dear."""
        parts = self.parts
        if parts.test is None:
            return None
        try:
            parts.ledger.check(parts.test.purpose, 2 * len(parts.test.samples) * parts.scorer.calls_per_run)
        except BudgetReached:
            return None
        found = self._score_start(parts.test)
        parts.ledger.keep_back(found.cost)
        return found

    def _learn(self, results: Sequence[SampleResult]) -> None:
        for result in results:
            if result.run is not None:
                self.parts.parameters.learn(result.run.records, self.incumbent)

    def _validated(self) -> Evaluation:
        """Return the incumbent's evaluation on the validation samples; costs nothing."""
        return Evaluation(tuple(self.parts.scorer.known(self.incumbent, self.parts.val)))

    def _keep(self) -> None:
        """Save the incumbent's prompts, and let go of the runs of all other candidates."""
        self.parts.scorer.keep_runs_of(self.incumbent)
        self.parts.save_best(self.parts.parameters.texts(self.incumbent))

    def _result(self, start_val: Evaluation, start_test: Evaluation | None, reason: StopReason, message: str) -> Result:
        parts = self.parts
        test = None
        if parts.test is not None and start_test is not None:
            parts.ledger.keep_back(Cost())
            try:
                test = Evaluation(tuple(parts.scorer.results(self.incumbent, parts.test)))
            except BudgetReached as reached:
                message += f"; the test samples were not run: {reached}"
        spent = parts.ledger.spent()
        parts.journal.append(Event("stop", {"reason": reason, "message": message}, self.incumbent.hash))
        self._tell("stop", message)
        return Result(
            best=parts.parameters.texts(self.incumbent),
            start=parts.parameters.texts(Trained()),
            parameters=parts.parameters.of_code(),
            start_val=start_val,
            val=self._validated(),
            start_test=start_test,
            test=test,
            history=tuple(self.history),
            calls={purpose: cost.calls for purpose, cost in spent.items()},
            tokens={purpose: cost.tokens for purpose, cost in spent.items()},
            seconds=parts.ledger.seconds,
            steps=self.step,
            stop_reason=reason,
            stop_message=message,
            seed=self.options.seed,
            scores=(start_val.mean, *self.curve) if start_val.scores else (),
        )

    def _tell(self, kind: ProgressKind, message: str, score: float | None = None, *, is_accepted: bool = False) -> None:
        if self.parts.progress is None:
            return
        known = self._validated()
        self.parts.progress.on_event(
            ProgressEvent(
                kind=kind,
                message=message,
                step=self.step,
                max_steps=self.options.max_steps,
                score=score,
                best=known.mean if known.results else None,
                is_accepted=is_accepted,
                calls={purpose: cost.calls for purpose, cost in self.parts.ledger.spent().items()},
            )
        )


def _gradient_body(gradient: Any) -> dict[str, Any]:
    return {
        "parameter": gradient.target,
        "t": gradient.index,
        "score": gradient.score,
        "feedback": gradient.feedback,
        "is_note": gradient.is_note,
    }
