"""Evaluation: scores with their spread, and who is to blame for what went wrong."""

import asyncio
import math
import threading

import pytest

from tracediff.capture.context import using
from tracediff.errors import (
    EngineRefused,
    EngineUnavailable,
    LostContext,
    MetricError,
    PromptsMismatch,
    UsageError,
)
from tracediff.scores import Score
from tracediff.training import evaluate, execution
from tracediff.training.execution import Executor, Patience
from tracediff.training.faults import fault_of


class APIConnectionError(Exception):
    pass


class AuthenticationError(Exception):
    status_code = 401


class APIStatusError(Exception):
    def __init__(self, status_code, code=None, message=""):
        super().__init__(message or f"status {status_code}")
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
            raise ConnectionResetError("reset")
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
        (TimeoutError("the program's own limit"), "program"),
        (ConnectionResetError("x"), "transport"),
        (APIStatusError(429), "transport"),
        (APIStatusError(503), "transport"),
        (APIStatusError(404), "refused"),
        (APIStatusError(402), "refused"),
        (APIStatusError(429, "insufficient_quota"), "refused"),
        (APIStatusError(400, message="Your credit balance is too low to access the API"), "refused"),
        (APIStatusError(400), "rejected"),
        (APIStatusError(413), "rejected"),
        (APIStatusError(422), "rejected"),
        (type("BadRequestError", (Exception,), {})("x"), "rejected"),
        (type("HTTPException", (Exception,), {"status_code": 404})("a retriever's"), "program"),
        (type("ReadTimeout", (type("TransportError", (Exception,), {}),), {})("httpx"), "transport"),
        (PromptsMismatch("x"), "usage"),
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


def test_a_rejected_request_is_the_programs_exception():
    def program(x):
        if x == 1:
            raise APIStatusError(400, message="maximum context length exceeded")
        return 0

    found = evaluate(program, rows(4), even)
    assert found.mean == 0.75
    assert found.results[1].score == Score(0.0, "APIStatusError: maximum context length exceeded")


def test_rejected_on_every_sample_is_no_score_unless_a_candidate_may_be_why(world):
    def program(x):
        raise APIStatusError(422, message="unknown field")

    with pytest.raises(EngineRefused, match="rejected the request of every sample.*'0'.*unknown field"):
        evaluate(program, rows(3), even)
    assert evaluate(program, rows(3), even, candidate={"app.task": "x" * 10}).mean == 0.0


def test_what_tracediff_itself_raises_in_the_program_leaves(tmp_path):
    import tracediff
    from tracediff.parameters import Parameter
    from tracediff.store import load, save_prompts

    prompt = tracediff.trainable_prompt("code now", name="test_evaluation.strict")
    save_prompts(tmp_path / "p.json", {prompt.parameter.name: "trained"}, [Parameter(prompt.parameter.name, "then")])
    strict = load(tmp_path / "p.json", strict=True)

    def wrapped(x):
        try:
            return prompt()
        except PromptsMismatch as error:
            raise RuntimeError("step failed") from error

    async def later(x):
        return prompt()

    for program in (lambda x: prompt(), wrapped, later):
        with pytest.raises(PromptsMismatch, match="another text"):
            evaluate(program, rows(3), lambda p, s: 1.0, candidate=strict)


def test_the_items_of_a_generator_are_made_inside_the_trial(world):
    def lazily(question):
        yield world.program(question)
        yield "end"

    async def later(question):
        yield world.program(question)
        yield "end"

    def metric(prediction, sample):
        assert isinstance(prediction, list)
        return world.metric(prediction[0], sample)

    async def handed(question):
        return lazily(question)

    better = {"app.task": "Use alpha and beta.", "app.style": "Use gamma and delta."}
    programs = (
        lazily,
        later,
        handed,
        lambda question: later(question),
        lambda question: map(world.program, [question]),
    )
    for program in programs:
        assert evaluate(program, world.data(4), metric, candidate=better).mean == 1.0
        assert evaluate(program, world.data(4), metric).mean == 0.0


def test_a_generator_that_raises_scores_zero():
    def program(x):
        yield x
        raise ValueError("half way")

    assert evaluate(program, rows(2), even).errors == {"0": "ValueError: half way", "1": "ValueError: half way"}


def test_exit_and_cancellation_by_the_programs_own_doing_score_zero():
    def leaves(x):
        if x == 1:
            raise SystemExit("not today")
        return 0

    async def leaves_later(x):
        return leaves(x)

    async def cancels(x):
        if x == 1:
            raise asyncio.CancelledError("own doing")
        return 0

    async def cancels_itself(x):
        if x == 1:
            asyncio.current_task().cancel()
            await asyncio.sleep(0)
        return 0

    def cancels_inside(x):
        return asyncio.run(cancels(x))

    for program in (leaves, leaves_later, cancels, cancels_itself, cancels_inside):
        found = evaluate(program, rows(4), even)
        assert found.mean == 0.75
        assert found.errors.keys() == {"1"}
    assert evaluate(leaves, rows(2), even).results[1].score.feedback == "SystemExit: not today"


@pytest.mark.parametrize("is_async", [False, True])
def test_an_interrupt_still_stops(is_async):
    calls = []

    def program(x):
        calls.append(x)
        raise KeyboardInterrupt

    async def later(x):
        return program(x)

    with pytest.raises(KeyboardInterrupt):
        evaluate(later if is_async else program, rows(20), even, max_in_flight=1)
    assert calls == [0]


def test_a_metric_that_exits_is_named():
    def metric(prediction, sample):
        raise SystemExit(3)

    async def later(x):
        return x

    for program in (lambda x: x, later):
        with pytest.raises(MetricError, match="raised on sample '0': SystemExit: 3"):
            evaluate(program, rows(1), metric)


def test_the_advice_on_a_lost_context_is_what_helps(world):
    from opentelemetry import context as otel

    def program(question):
        token = otel.attach(otel.Context())
        try:
            return world.program(question)
        finally:
            otel.detach(token)

    with pytest.raises(LostContext, match=r"copy_context\(\)\.run") as caught:
        evaluate(program, world.data(1), world.metric)
    assert "imported" not in str(caught.value)
