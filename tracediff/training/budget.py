"""Budget: what a training run may cost, and what it has cost so far, apart for each purpose."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias, get_args

from tracediff.engine import Purpose
from tracediff.errors import TracediffError, UsageError

CallPurpose: TypeAlias = Literal["forward", "validation", Purpose]
"""forward: runs on training samples, gates included; validation: runs on validation and test samples; and an engine's
purposes: backward, optimizer."""

PURPOSES: tuple[CallPurpose, ...] = get_args(CallPurpose)


class BudgetReached(TracediffError):
    """The budget does not allow the next call; ends a training run cleanly, never leaves ``optimize``."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits; None is no limit. The best prompts are kept when one is reached.

    Runs start in groups of ``max_in_flight`` and are taken to need as many calls as the most that a run has made so
    far (the very first run goes alone to find out), so a limit is exceeded by at most what the runs in flight take
    beyond that; a limit of tokens or seconds by what is in flight.
    """

    forward: int | None = None
    """Model calls of the program on training samples."""
    validation: int | None = None
    """Model calls of the program on validation and test samples."""
    backward: int | None = None
    optimizer: int | None = None
    calls: int | None = None
    """Of all purposes together."""
    tokens: int | None = None
    """Input and output, of all purposes together."""
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a limit that is no number from 0."""
        for name in (field.name for field in fields(self)):
            limit: object = getattr(self, name)
            if limit is None:
                continue
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 0:  # NaN is not
                raise UsageError(f"budget: the limit {name!r} must be a number from 0, not {limit!r}")

    @classmethod
    def of(cls, budget: Budget | Mapping[str, float] | int | None) -> Budget:
        """Return a Budget from itself, a mapping of its fields, a limit of all calls, or None; raise UsageError."""
        if isinstance(budget, Budget):
            return budget
        if budget is None:
            return cls()
        if isinstance(budget, int) and not isinstance(budget, bool):
            budget = {"calls": budget}
        known = [field.name for field in fields(cls)]
        if not isinstance(budget, Mapping):
            raise UsageError(f"budget: expected a number of calls or a mapping with {', '.join(known)}, not {budget!r}")
        for name in budget:
            if name not in known:
                raise UsageError(f"budget: unknown limit {name!r}. Known: {', '.join(known)}")
        return cls(**budget)  # type: ignore[arg-type]  # mypy can't see the names checked above


@dataclass(frozen=True, slots=True)
class Cost:
    """Model calls and the tokens they took."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )


class Ledger:
    """What has been spent, for each purpose, checked against a budget. Used from several threads."""

    def __init__(self, budget: Budget | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.budget = budget or Budget()
        self._clock = clock
        self._started = clock()
        self._lock = threading.Lock()
        self._spent: dict[CallPurpose, Cost] = {purpose: Cost() for purpose in PURPOSES}
        self._in_flight: dict[CallPurpose, int] = dict.fromkeys(PURPOSES, 0)
        self._kept_back = Cost()

    @property
    def seconds(self) -> float:
        """Since the ledger was opened."""
        return self._clock() - self._started

    def spent(self) -> dict[CallPurpose, Cost]:
        """Return the cost so far, for each purpose."""
        with self._lock:
            return dict(self._spent)

    def keep_back(self, cost: Cost) -> None:
        """Set aside what the last evaluation on test samples will cost; ``Cost()`` releases it."""
        with self._lock:
            self._kept_back = cost

    def is_limited(self, purpose: CallPurpose) -> bool:
        """Return whether there is a limit on the calls of this purpose."""
        return self.budget.calls is not None or getattr(self.budget, purpose) is not None

    def check(self, purpose: CallPurpose, calls: int = 1) -> None:
        """Raise BudgetReached when ``calls`` more calls, beside those in flight, would break a limit."""
        with self._lock:
            self._check(purpose, calls)

    def _check(self, purpose: CallPurpose, calls: int) -> None:
        budget, kept = self.budget, self._kept_back
        used = self._spent[purpose].calls + self._in_flight[purpose] + (kept.calls if purpose == "validation" else 0)
        limit: int | None = getattr(budget, purpose)
        if limit is not None and used + calls > limit:
            raise BudgetReached(f"{used} of {limit} {purpose} calls are used")
        total = sum(cost.calls for cost in self._spent.values()) + sum(self._in_flight.values()) + kept.calls
        if budget.calls is not None and total + calls > budget.calls:
            raise BudgetReached(f"{total} of {budget.calls} calls are used")
        tokens = sum(cost.tokens for cost in self._spent.values()) + kept.tokens
        if budget.tokens is not None and tokens >= budget.tokens:
            raise BudgetReached(f"{tokens} of {budget.tokens} tokens are used")
        if budget.seconds is not None and self._clock() - self._started >= budget.seconds:
            raise BudgetReached(f"the {budget.seconds:g} seconds are over")

    def reserve(self, purpose: CallPurpose) -> None:
        """Count one call as in flight; raise BudgetReached when it may not start."""
        with self._lock:
            self._check(purpose, 1)
            self._in_flight[purpose] += 1

    def release(self, purpose: CallPurpose) -> None:
        """Take one call out of flight; ``spend`` says what it cost."""
        with self._lock:
            self._in_flight[purpose] -= 1

    def spend(self, purpose: CallPurpose, cost: Cost) -> None:
        """Add what was paid."""
        with self._lock:
            self._spent[purpose] += cost
