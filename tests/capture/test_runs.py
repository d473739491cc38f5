from __future__ import annotations

import asyncio
import gc
import os
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

import pytest

from tracediff.capture import activate, begin, current_text, functional_node, suppressed, trainable_prompt, using
from tracediff.capture.context import Scope, carry_into_threads, current_scope, scoped
from tracediff.capture.faults import faults
from tracediff.capture.live import open_recordings
from tracediff.capture.recording import Recording
from tracediff.errors import DataError, MetricError, UsageError
from tracediff.graph.runs import Run, atrace, entry, record, score, trace

PROMPT = trainable_prompt("base", name="test.runs.prompt")


@functional_node
def step(x):
    return x + "!"


@functional_node
async def astep(x):
    await asyncio.sleep(0)
    return x + "!"


def test_trace_gives_the_very_result_and_the_run():
    answer, run = trace(step, "hi")
    assert answer == "hi!"
    assert run.result is answer
    assert run.output == "hi!"
    assert not run.is_output_inferred
    assert run.output_refs[0].source == run.records[0].id


def test_trace_of_async_programs_with_and_without_a_loop():
    assert trace(astep, "a")[0] == "a!"
    answer, run = trace(lambda: astep("b"))
    assert (answer, len(run.records)) == ("b!", 1)

    async def inside():
        first, first_run = await trace(astep, "c")
        second, second_run = await atrace(astep, "d")
        third, third_run = await atrace(step, "e")
        return first, second, third, [len(run.records) for run in (first_run, second_run, third_run)]

    assert asyncio.run(inside()) == ("c!", "d!", "e!", [1, 1, 1])


def test_trace_of_an_object_with_invoke():
    class Chain:
        def invoke(self, x):
            return step(x)

    assert trace(Chain(), "a")[0] == "a!"
    with pytest.raises(UsageError, match="a callable or an object with invoke, not int"):
        trace(3)


def test_exceptions_leave_trace_and_record_as_they_are():
    error = KeyError("x")

    def program():
        step("a")
        raise error

    with pytest.raises(KeyError) as raised:
        trace(program)
    assert raised.value is error
    with pytest.raises(KeyError), record() as run:
        program()
    assert run.error == "KeyError: 'x'"
    assert len(run.records) == 1
    assert current_scope() is None


def test_the_output_is_inferred_from_the_last_outermost_record():
    @functional_node
    def outer(x):
        return [step(x)]

    with record() as run:
        outer("a")
    assert run.is_output_inferred
    assert run.output == ["a!"]
    assert (run.output_refs[0].path, run.output_refs[0].source) == ("output", run.records[1].id)
    run.set_output("said")
    assert (run.output, run.is_output_inferred) == ("said", False)


def test_an_inner_record_is_a_view_of_its_part():
    with record(sample_id="outer") as outer:
        first = step("a")
        with record(sample_id="inner") as inner:
            step(first)
        step("c")
    assert len(outer.records) == 3
    assert inner.records == outer.records[1:2]
    assert inner.run_id == outer.run_id
    assert inner.records[0].refs[0].source == outer.records[0].id
    assert (inner.sample_id, inner.output) == ("inner", "a!!")


def test_two_runs_share_nothing():
    with record() as first:
        made = step("a")
    with record() as second:
        step(made)
    assert first.run_id != second.run_id
    assert second.records[0].refs == ()


def test_scores_are_kept_and_checked(tmp_path):
    _, run = trace(step, "a")
    score(run, 0.25, feedback="too long", name="length")
    with pytest.raises(MetricError):
        score(run, 2)
    run.save(tmp_path / "run.jsonl")
    again = Run.load(tmp_path / "run.jsonl")
    assert again.scores == run.scores
    assert again.scores[0].score.feedback == "too long"
    assert (again.records, again.output, again.output_refs) == (run.records, run.output, run.output_refs)
    assert (again.run_id, again.sample_id, again.is_output_inferred) == (run.run_id, run.sample_id, False)
    assert again.graph().to_json() == run.graph().to_json()


def test_using_merges_and_wins_over_activate():
    try:
        activate({"a": "process", "b": "process"})
        assert (current_text("a"), current_text("c")) == ("process", None)
        with using({"a": "outer", "c": "outer"}), using({"c": "inner"}):
            assert [current_text(name) for name in "abc"] == ["outer", "process", "inner"]
            with suppressed():
                assert current_text("a") is None
    finally:
        activate(None)
    assert current_text("a") is None


@pytest.mark.parametrize("candidate", [{"a": 1}, {1: "a"}, ["a"], "text"])
def test_a_candidate_that_is_none(candidate):
    with pytest.raises(UsageError, match="candidate"), using(candidate):
        pass


def test_a_candidate_is_not_changed_by_later_mutation():
    candidate = {"test.runs.prompt": "mine"}
    with using(candidate):
        candidate["test.runs.prompt"] = "other"
        assert PROMPT() == "mine"


def lost_thread(work):
    """A thread whose context is lost, as one of a C extension would be."""
    import contextvars

    thread = threading.Thread(target=lambda: contextvars.Context().run(work))
    thread.start()
    thread.join()


def test_a_prompt_read_without_the_runs_context_marks_every_open_trial():
    with record(is_trial=True) as trial, record(is_trial=True):
        PROMPT()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(PROMPT).result()
        assert trial.lost == []
        lost_thread(PROMPT)
        assert trial.lost == ["test.runs.prompt"]
    with record() as plain_run:
        lost_thread(PROMPT)
    assert plain_run.lost == []


def test_a_thread_that_outlived_its_run_is_lost_for_the_next():
    requests, replies = __import__("queue").Queue(), __import__("queue").Queue()

    def worker():
        while (item := requests.get()) is not None:
            replies.put(item())

    with using({"test.runs.prompt": "first"}), record(is_trial=True):
        thread = threading.Thread(target=worker)
        thread.start()
    with using({"test.runs.prompt": "second"}), record(is_trial=True) as trial:
        requests.put(PROMPT)
        assert replies.get() == "first"
    requests.put(None)
    thread.join()
    assert trial.lost == ["test.runs.prompt"]


class Worker:
    """A raw thread that runs what it finds in its queue."""

    def __init__(self):
        self.jobs = queue.Queue()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        while (job := self.jobs.get()) is not None:
            job()

    def do(self, function):
        done = threading.Event()
        self.jobs.put(lambda: (function(), done.set()))
        assert done.wait(5)


def trial(text):
    """An open trial of a candidate, and what runs code in it."""
    fresh = Recording(is_trial=True)

    def inside(function):
        with scoped(Scope(candidate={"test.runs.prompt": text})), fresh.attached():
            return function()

    inside(lambda: None)
    return fresh, inside


def test_a_thread_with_a_candidate_of_its_own_is_lost_too():
    with using({"other": "x"}):
        worker = Worker()
    try:
        with record(is_trial=True) as run:
            worker.do(PROMPT)
        assert run.lost == ["test.runs.prompt"]
        with record(is_trial=True) as run:
            worker.do(lambda: PROMPT.text)
        assert run.lost == ["test.runs.prompt"]
    finally:
        worker.jobs.put(None)


@pytest.mark.parametrize(("is_same", "lost"), [(False, ["test.runs.prompt"]), (True, [])])
def test_a_worker_that_one_trial_started_and_that_serves_another_is_noticed_when_the_first_ends(is_same, lost):
    carry_into_threads()
    first, in_first = trial("A")
    second, in_second = trial("A" if is_same else "B")
    with ThreadPoolExecutor(1) as pool:
        worker = in_first(Worker)
        in_first(lambda: pool.submit(PROMPT).result())
        in_second(lambda: worker.do(PROMPT))
        in_second(lambda: pool.submit(PROMPT).result())
        assert second.lost == []
        first.close()
        assert (first.lost, second.lost) == ([], lost)
        second.close()
        worker.jobs.put(None)


def test_what_carries_contexts_itself_marks_nothing():
    first, in_first = trial("A")
    second, _ = trial("B")
    try:
        carry_into_threads()
        with ThreadPoolExecutor(1) as pool:
            in_first(lambda: pool.submit(PROMPT).result())
            in_first(lambda: asyncio.run(asyncio.to_thread(PROMPT)))
            joined = in_first(lambda: started(PROMPT))
            joined.join()
            first.close()
        assert second.lost == []
    finally:
        second.close()


def test_work_handed_over_with_its_context_marks_nothing():
    carry_into_threads()
    starter, in_starter = trial("A")
    worker = in_starter(Worker)
    starter.close()
    first, in_first = trial("A")
    second, in_second = trial("B")
    try:
        in_first(lambda: worker.do(partial(copy_context().run, PROMPT)))
        in_second(lambda: worker.do(partial(copy_context().run, PROMPT)))
        first.close()
        assert (first.lost, second.lost) == ([], [])
        assert [[record.output for record in run.records] for run in (first, second)] == [["A"], ["B"]]
    finally:
        second.close()
        worker.jobs.put(None)


def started(work):
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_fault_of_ours_is_counted_and_not_felt(monkeypatch):
    from tracediff.capture import recorder

    def broken(*args, **kwargs):
        raise RuntimeError("ours")

    before = faults.counts()
    with record() as run:
        monkeypatch.setattr(recorder, "Walk", broken)
        assert step_list(["a"]) == ["a", "b"]
        monkeypatch.undo()
        assert step("x") == "x!"
    assert faults.counts() != before
    assert run.records[-1].output == "x!"


@functional_node
def step_list(items):
    return [*items, "b"]


def test_a_call_ends_once():
    with record() as run:
        call = begin("once", "function", {})
        call.end("first")
        call.end("second")
        call.end(error=ValueError())
    assert [entry.output for entry in run.records] == ["first"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_writes_nothing_into_the_parents_run():
    reader, writer = os.pipe()
    with using({"test.runs.prompt": "carried"}), record() as run:
        step("before")
        child = os.fork()
        if child == 0:
            try:
                step("in the child")
                with record() as own:
                    step("own")
                report = f"{len(run.records)} {len(own.records)} {own.run_id == run.run_id} {PROMPT()}"
                os.write(writer, report.encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        step("after")
    assert os.read(reader, 200).decode() == "1 1 False carried"
    assert [entry.inputs["x"] for entry in run.records] == ["before", "after"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_runs_of_a_forked_child_have_ids_of_their_own():
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, " ".join(Recording().run_id for _ in range(3)).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert set(os.read(reader, 200).decode().split()).isdisjoint(Recording().run_id for _ in range(3))


def test_ids_are_spans_ids_and_unique_over_runs():
    ids = set()
    for _ in range(20):
        with record() as run:
            for _ in range(20):
                step("a")
        ids.update(entry.id for entry in run.records)
    assert len(ids) == 400
    assert all(len(bytes.fromhex(entry)) == 8 and int(entry, 16) for entry in ids)


def test_recording_does_not_touch_the_programs_random_numbers():
    import random

    random.seed(3)
    expected = random.random()
    random.seed(3)
    with record():
        step("a")
    assert random.random() == expected


def test_a_program_is_entered_by_invoke_first_then_ainvoke_then_as_a_callable():
    class Both:
        def __call__(self, x):
            return "called " + x

        def invoke(self, x):
            return "invoked " + x

    class Async:
        async def ainvoke(self, x):
            return "awaited " + x

    assert trace(Both(), "a")[0] == "invoked a"
    assert trace(Async(), "a")[0] == "awaited a"
    assert entry(step) is step
    with pytest.raises(UsageError, match="not the class Both"):
        entry(Both)


def test_a_program_may_take_arguments_of_any_name():
    def program(program, run="r"):
        return program + run

    assert trace(program, program="x", run="y")[0] == "xy"
    assert asyncio.run(atrace(program, program="x"))[0] == "xr"


def test_a_run_that_can_not_be_written_says_where_and_why(tmp_path):
    with record() as run:
        step("a")
    with pytest.raises(DataError, match="no/run.jsonl: the run can't be written .No such file or directory"):
        run.save(tmp_path / "no" / "run.jsonl")


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_trace_that_nobody_awaits_leaves_no_recording_open():
    async def forgets():
        trace(astep, "a")
        gc.collect()
        return dict(open_recordings)

    assert asyncio.run(forgets()) == {}
