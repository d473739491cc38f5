"""Budget: limits apart for each purpose, and never more than what is in flight beyond them."""

import pytest

from tracediff.errors import UsageError
from tracediff.training.budget import Budget, BudgetReached, Cost, Ledger


def test_a_budget_is_a_number_a_mapping_or_nothing():
    assert Budget.of(10) == Budget(calls=10)
    assert Budget.of({"tokens": 5, "seconds": 1.5}) == Budget(tokens=5, seconds=1.5)
    assert Budget.of(None) == Budget()


@pytest.mark.parametrize("bad", ["10", {"call": 3}, {"calls": -1}, {"calls": "3"}, {"tokens": float("nan")}, True])
def test_a_budget_that_can_not_be_meant_is_refused(bad):
    with pytest.raises(UsageError, match="budget"):
        Budget.of(bad)


def test_calls_in_flight_count():
    ledger = Ledger(Budget(backward=2))
    ledger.reserve("backward")
    ledger.reserve("backward")
    with pytest.raises(BudgetReached, match="2 of 2 backward calls"):
        ledger.reserve("backward")
    ledger.reserve("optimizer")
    ledger.release("backward")
    ledger.reserve("backward")


def test_purposes_are_apart_and_the_total_counts_all():
    ledger = Ledger(Budget(forward=5, calls=7))
    ledger.spend("forward", Cost(5, 10, 1))
    with pytest.raises(BudgetReached, match="5 of 5 forward"):
        ledger.check("forward")
    ledger.check("validation", 2)
    with pytest.raises(BudgetReached, match="5 of 7 calls"):
        ledger.check("validation", 3)
    assert ledger.spent()["forward"].tokens == 11


def test_tokens_and_seconds_end_it():
    now = [0.0]
    ledger = Ledger(Budget(tokens=100, seconds=5), clock=lambda: now[0])
    ledger.check("forward")
    now[0] = 5.0
    with pytest.raises(BudgetReached, match="5 seconds"):
        ledger.check("forward")
    now[0] = 1.0
    ledger.spend("optimizer", Cost(1, 90, 10))
    with pytest.raises(BudgetReached, match="100 of 100 tokens"):
        ledger.check("forward")


def test_what_is_kept_back_can_not_be_spent():
    ledger = Ledger(Budget(validation=10))
    ledger.keep_back(Cost(6))
    with pytest.raises(BudgetReached):
        ledger.check("validation", 5)
    ledger.keep_back(Cost())
    ledger.check("validation", 10)


def test_a_limit_is_checked_however_the_budget_is_made():
    with pytest.raises(UsageError, match="'seconds' must be a number from 0, not nan"):
        Budget(seconds=float("nan"))


def test_what_an_engine_is_asked_for_is_among_the_purposes():
    from typing import get_args

    from tracediff.engine import Purpose
    from tracediff.training.budget import PURPOSES

    assert PURPOSES == ("forward", "validation", *get_args(Purpose))
