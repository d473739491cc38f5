"""Evaluation: scores with their spread, and who is to blame for what went wrong."""

import asyncio
import math
import threading

import pytest

from tracediff.capture.context import using
from tracediff.errors import EngineRefused, EngineUnavailable, LostContext, MetricError, UsageError
from tracediff.scores import Score
from tracediff.training import evaluate, execution
from tracediff.training.execution import Executor, Patience
from tracediff.training.faults import fault_of


class APIConnectionError(Exception):
    pass


class AuthenticationError(Exception):
    status_code = 401


class StatusError(Exception):
    def __init__(self, status_code, code=None):
        super().__init__(f"status {status_code}")
        self.status_code = status_code
        self.code = code


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(execution, "Patience", lambda: Patience(2, 0.0))


def rows(count):
    return [{"id": str(number), "x": number} for number in range(count)]


def even(prediction, sample):
    return prediction % 2 == 0


def test_mean_and_spread():
    found = evaluate(lambda x: x, rows(4), even)
    assert found.mean == 0.5
    assert found.spread == pytest.approx(math.sqrt(4 * 0.25 / 3 / 4))
    assert found.scores == {"0": 1.0, "1": 0.0, "2": 1.0, "3": 0.0}
    low, high = found.interval
    assert 0 <= low < 0.5 < high <= 1


def test_a_candidate_is_given_or_comes_from_around_the_call(world):
    better = {"app.task": "Use alpha and beta.", "app.style": "Use gamma and delta."}
    data = world.data(8)
    assert evaluate(world.program, data, world.metric).mean == 0.0
    assert evaluate(world.program, data, world.metric, candidate=better).mean == 1.0
    with using(better):
        assert evaluate(world.program, data, world.metric).mean == 1.0
        assert evaluate(world.program, data, world.metric, candidate={"app.style": ""}).mean == 0.5


def test_cost_is_read_from_the_records(world):
    cost = evaluate(world.program, world.data(5), world.metric).cost
    assert (cost.calls, cost.input_tokens, cost.output_tokens) == (5, 50, 15)


def test_samples_run_at_the_same_time_up_to_the_limit():
    gate = threading.Barrier(4, timeout=10)

    def program(x):
        gate.wait()
        return 0

    assert evaluate(program, rows(8), even, max_in_flight=4).mean == 1.0


def test_async_programs_run_as_tasks_up_to_the_limit():
    running, most = 0, 0

    async def program(x):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        return x

    assert evaluate(program, rows(10), even, max_in_flight=4).mean == 0.5
    assert most == 4


def test_evaluate_works_in_a_running_loop(world):
    async def notebook():
        return evaluate(world.async_program, world.data(4), world.metric, candidate={"app.task": "alpha beta"})

    assert asyncio.run(notebook()).mean == 0.5


def test_objects_with_invoke_and_functions_that_hand_out_coroutines():
    class Chain:
        def invoke(self, value):
            return value

    async def later(x):
        return x

    data = [{"input": 2}, {"input": 3}]
    assert evaluate(Chain(), data, even).mean == 0.5
    assert evaluate(lambda x: later(x), rows(2), even).mean == 0.5


def test_an_exception_of_the_program_scores_zero_and_is_the_feedback():
    def program(x):
        if x == 1:
            raise ValueError("no number in it")
        return 0

    found = evaluate(program, rows(2), even)
    assert found.mean == 0.5
    assert found.errors == {"1": "ValueError: no number in it"}
    assert found.results[1].score == Score(0.0, "ValueError: no number in it")
    assert found.excluded == ()


def test_a_transport_fault_is_repeated_then_excluded():
    tries = {}

    def program(x):
        tries[x] = tries.get(x, 0) + 1
        if x == 1 or (x == 2 and tries[x] == 1):
            raise APIConnectionError("reset")
        return 0

    found = evaluate(program, rows(3), even)
    assert tries == {0: 1, 1: 3, 2: 2}
    assert found.excluded == ("1",)
    assert found.mean == 1.0
    assert "APIConnectionError: reset" in found.errors["1"]


def test_the_same_for_async_programs():
    tries = []

    async def program(x):
        tries.append(x)
        if x == 1:
            raise TimeoutError("slow")
        return 0

    assert evaluate(program, rows(2), even).excluded == ("1",)
    assert tries.count(1) == 3


def test_nothing_but_outages_is_an_error():
    def program(x):
        raise ConnectionError("down")

    with pytest.raises(EngineUnavailable, match="2 of 2 samples have no score.*ConnectionError: down"):
        evaluate(program, rows(2), even)


def test_a_refused_call_stops_and_names_the_sample():
    calls = []

    def program(x):
        calls.append(x)
        raise AuthenticationError("bad key")

    with pytest.raises(EngineRefused, match="sample '0'.*AuthenticationError: bad key"):
        evaluate(program, rows(20), even, max_in_flight=1)
    assert calls == [0]


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ValueError("x"), "program"),
        (KeyError("x"), "program"),
        (StatusError(429), "transport"),
        (StatusError(503), "transport"),
        (StatusError(404), "refused"),
        (StatusError(429, "insufficient_quota"), "refused"),
        (AuthenticationError("x"), "refused"),
        (type("RateLimitError", (Exception,), {})("x"), "transport"),
    ],
)
def test_whose_fault_it_is(error, fault):
    assert fault_of(error) == fault


def test_a_fault_is_seen_through_the_programs_own_exception():
    try:
        try:
            raise APIConnectionError("reset")
        except APIConnectionError as inner:
            raise RuntimeError("step failed") from inner
    except RuntimeError as error:
        assert fault_of(error) == "transport"


@pytest.mark.parametrize("value", [float("nan"), 2, "good", None])
def test_a_metric_that_returns_no_score_is_named_with_the_sample(value):
    def odd_metric(prediction, sample):
        return value

    with pytest.raises(MetricError, match=r"odd_metric on sample '0'"):
        evaluate(lambda x: x, rows(1), odd_metric)


def test_a_metric_that_raises_is_named_with_the_sample():
    def bad_metric(prediction, sample):
        return sample["label"]

    with pytest.raises(MetricError, match=r"bad_metric raised on sample '0': KeyError: 'label'") as caught:
        evaluate(lambda x: x, rows(1), bad_metric)
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_async_metric_is_refused():
    async def metric(prediction, sample):
        return 1.0

    with pytest.raises(MetricError, match="is async"):
        evaluate(lambda x: x, rows(1), metric)


def test_a_lost_context_makes_the_sample_invalid(world):
    from opentelemetry import context as otel

    def program(question):
        if "alpha" in question:
            token = otel.attach(otel.Context())
            try:
                return world.program(question)
            finally:
                otel.detach(token)
        return world.program(question)

    found = evaluate(program, world.data(4), world.metric, max_in_flight=1)
    assert found.excluded == ("s0",)
    assert "app.task" in found.errors["s0"]
    with pytest.raises(LostContext, match="app.task"):
        evaluate(program, world.data(1), world.metric)


def test_bad_input_costs_no_call():
    calls = []

    def program(x):
        calls.append(x)

    with pytest.raises(UsageError, match="sample 'b'"):
        evaluate(program, [{"id": "a", "x": 1}, {"id": "b"}], lambda p, s: 1, max_in_flight=1)
    assert calls == []


def test_in_flight_must_be_positive():
    with pytest.raises(UsageError, match="max_in_flight"):
        evaluate(lambda x: x, rows(1), even, max_in_flight=0)


def test_a_cancelled_executor_starts_nothing_more():
    with Executor(lambda x: x) as executor:
        executor.cancel()
        with pytest.raises(Exception, match="cancelled"):
            executor.map([], None, lambda execution: execution)
