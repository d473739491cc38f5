from __future__ import annotations

import asyncio
import gc
import inspect
import pickle
import sys
import threading
import types
import warnings
from contextlib import nullcontext

import pytest

from tracediff.capture import functional_node, site_rule, trainable_prompt
from tracediff.capture.faults import faults
from tracediff.errors import UsageError
from tracediff.graph.runs import record, trace


@pytest.fixture(autouse=True)
def no_faults():
    before = faults.counts()
    yield
    assert faults.counts() == before


@functional_node
def plain(a, b=2, *rest, c=3, **more):
    """First line
    goes on.

    Second paragraph.
    """
    return [a, b]


@functional_node(name="test.tool", kind="tool", description="does it")
async def tool(x):
    await asyncio.sleep(0)
    return x


@functional_node
def numbers(n):
    received = []
    try:
        for i in range(n):
            try:
                received.append((yield f"item {i}"))
            except KeyError as error:
                received.append(error)
        return received
    finally:
        received.append("closed")


@functional_node
async def anumbers(n):
    received = []
    try:
        for i in range(n):
            try:
                received.append((yield f"item {i}"))
            except KeyError as error:
                received.append(error)
    finally:
        received.append("closed")
        plain(str(received))


class Worker:
    @functional_node
    def method(self, q):
        return q

    @functional_node
    @staticmethod
    def outer_static(q):
        return q

    @staticmethod
    @functional_node
    def inner_static(q):
        return q

    @functional_node
    @classmethod
    def outer_class(cls, q):
        return cls, q

    @classmethod
    @functional_node
    def inner_class(cls, q):
        return cls, q


@functional_node(kind="retriever")
class Retriever:
    """Finds things."""

    def __init__(self, k):
        self.k = k

    def __call__(self, query):
        return [query] * self.k


def test_inputs_are_named_in_signature_order():
    with record() as run:
        plain("a")
        plain("a", c=1, b=5)
        plain("a", "b", "r", "s", extra="e")
    assert [list(entry.inputs.items()) for entry in run.records] == [
        [("a", "a"), ("b", 2), ("c", 3)],
        [("a", "a"), ("b", 5), ("c", 1)],
        [("a", "a"), ("b", "b"), ("rest", ("r", "s")), ("c", 3), ("more", {"extra": "e"})],
    ]
    assert run.records[0].description == "First line goes on."
    assert run.records[0].name == f"{__name__}.plain"


def test_the_very_objects_and_exceptions_pass():
    error = ValueError("mine")
    given = object()

    @functional_node
    def through(x):
        if x is error:
            raise x
        return x

    for context in (record(), record()):
        with context as run:
            assert through(given) is given
            with pytest.raises(ValueError) as raised:
                through(error)
            assert raised.value is error
    assert [entry.error for entry in run.records] == [None, "ValueError: mine"]


def test_exceptions_with_a_broken_message():
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError

    @functional_node
    def f():
        raise Broken

    with record() as run, pytest.raises(Broken):
        f()
    assert run.records[0].error == "Broken"


def test_a_wrong_argument_is_the_programs_own_type_error():
    with record() as run, pytest.raises(TypeError, match=r"^Worker.method\(\) got an unexpected keyword argument 'z'$"):
        Worker().method(z=1)
    assert run.records[0].error.startswith("TypeError")


@pytest.mark.parametrize("function", [plain, tool, numbers, anumbers])
@pytest.mark.parametrize("is_recording", [True, False])
def test_a_wrong_argument_raises_at_the_call_in_every_flavour(function, is_recording):
    with record() if is_recording else nullcontext(), pytest.raises(TypeError) as raised:
        function(nothing_of_this_name=1, n=2, x=3)
    with pytest.raises(TypeError) as undecorated:
        function.__wrapped__(nothing_of_this_name=1, n=2, x=3)
    assert str(raised.value) == str(undecorated.value)


def test_coroutines_and_generators_go_by_the_names_of_the_programs_own():
    made = [numbers(1), anumbers(1), tool(1)]
    assert [(item.__name__, item.__qualname__) for item in made] == [
        (name, name) for name in ("numbers", "anumbers", "tool")
    ]
    made[2].close()


def test_a_coroutine_that_never_starts_warns_as_it_does_undecorated():
    async def cancelled_at_once():
        task = asyncio.create_task(tool(1))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with record() as run:
        tool(1).close()
        asyncio.run(cancelled_at_once())
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        tool(1)
        gc.collect()
    assert [str(warning.message) for warning in warned] == ["coroutine 'tool' was never awaited"]
    assert run.records == ()


def test_an_object_whose_call_is_async_ends_when_it_was_awaited():
    @functional_node(name="test.leaf")
    def leaf(x):
        return x + "?"

    class Asks:
        async def __call__(self, x):
            await asyncio.sleep(0)
            return leaf(x)

    async def hidden(x):
        return leaf(x)

    asks = functional_node(Asks(), name="test.asks")
    hands_out = functional_node(lambda x: hidden(x), name="test.hands_out")
    for node in (asks, hands_out):
        with record() as run:
            assert asyncio.run(node("hello")) == "hello?"
        inner, outer = run.records
        assert (inner.name, inner.parent_id) == ("test.leaf", outer.id)
        assert outer.output == "hello?"


def test_only_a_methods_own_self_is_left_out_of_the_inputs():
    @functional_node
    def apart(cls, text):
        return text

    @functional_node(name="test.own")
    def own(self):
        return self

    with record() as run:
        apart("news", "t")
        own("me")
        Worker().method("q")
        functional_node(Worker().method, name="test.bound")("b")
    assert [dict(entry.inputs) for entry in run.records] == [
        {"cls": "news", "text": "t"},
        {"self": "me"},
        {"q": "q"},
        {"q": "b"},
        {"q": "b"},
    ]


def test_a_subclass_that_is_a_node_too_is_recorded_once():
    @functional_node(name="test.base")
    class Base:
        def __call__(self, x):
            return x + "!"

    @functional_node(name="test.sub")
    class Sub(Base):
        pass

    @functional_node(name="test.twice")
    class Twice:
        @functional_node(name="test.twice.call")
        def __call__(self, x):
            return x

    with record() as run:
        Sub()("a")
        Base()("b")
        Twice()("c")
    assert [entry.name for entry in run.records] == ["test.sub", "test.base", "test.twice"]


@pytest.mark.parametrize("recording", [False, True])
def test_flavours_are_kept(recording):
    assert inspect.iscoroutinefunction(tool)
    assert inspect.isgeneratorfunction(numbers)
    assert inspect.isasyncgenfunction(anumbers)
    assert not inspect.isgeneratorfunction(plain)
    assert inspect.signature(plain) == inspect.signature(inspect.unwrap(plain))
    assert numbers(1).__name__ == "numbers"
    assert isinstance(numbers(1), types.GeneratorType)
    for flavour in (plain, tool, numbers, anumbers, Worker.method, Worker.inner_static, Retriever):
        assert pickle.loads(pickle.dumps(flavour)) is flavour


def test_methods_of_every_kind():
    with record() as run:
        worker = Worker()
        assert worker.method("q") == Worker.outer_static("q") == worker.inner_static("q") == "q"
        assert Worker.outer_class("q") == worker.inner_class("q") == (Worker, "q")
    assert [entry.inputs for entry in run.records] == [{"q": "q"}] * 5
    assert run.records[0].name == f"{__name__}.Worker.method"


def test_a_class_has_its_call_traced():
    retriever = Retriever(k=2)
    assert isinstance(retriever, Retriever)
    with record() as run:
        assert retriever("q") == ["q", "q"]
    (entry,) = run.records
    assert (entry.name, entry.kind, entry.inputs) == (f"{__name__}.Retriever", "retriever", {"query": "q"})
    assert entry.description == "Finds things."
    assert pickle.loads(pickle.dumps(retriever)).k == 2


def test_what_can_not_be_a_node():
    with pytest.raises(UsageError, match="not int"):
        functional_node(3)
    with pytest.raises(UsageError, match="__call__ of class"):

        @functional_node
        class Nothing:
            pass


def test_any_callable_with_a_name_can_be_a_node():
    traced = functional_node(name="size")(len)
    with record() as run:
        assert traced([1, 2]) == 2
    assert run.records[0].name == "size"


def test_backward_rules_are_kept_by_site():
    def rule(*args):
        return args

    @functional_node(name="test.ruled", backward=rule)
    def f():
        pass

    assert site_rule("test.ruled") is rule
    assert site_rule("test.tool") is None


def drive(generator):
    """A consumer that uses the whole protocol; returns what it saw."""
    seen = [next(generator), generator.send("sent"), generator.throw(KeyError("thrown"))]
    try:
        while True:
            seen.append(next(generator))
    except StopIteration as stop:
        seen.append(repr(stop.value))
    return seen


def test_generators_keep_send_throw_and_return():
    untraced = drive(inspect.unwrap(numbers)(4))
    with record() as run:
        assert drive(numbers(4)) == untraced
    (entry,) = run.records
    assert entry.output[:4] == [f"item {i}" for i in range(4)]
    assert len(entry.output) == 5  # and what it returned


def test_generators_close_and_leave_nothing_running():
    for use in (lambda: None, record):
        context = use()
        if context is None:
            generator = numbers(3)
            next(generator)
            generator.close()
            continue
        with context as run:
            generator = numbers(3)
            next(generator)
            generator.close()
            with pytest.raises(StopIteration):
                next(generator)
    (entry,) = run.records
    assert entry.output == ["item 0"]
    assert entry.attributes["tracediff.unfinished"] is True
    assert entry.error is None


def test_an_abandoned_generator_ends_with_the_run():
    with record() as run:
        generator = numbers(3)
        next(generator)
    assert run.records[0].output == ["item 0"]
    assert list(generator) == ["item 1", "item 2"]
    assert len(run.records) == 1


def test_an_exception_out_of_a_generator_is_its_own():
    @functional_node
    def failing():
        yield "one"
        raise ValueError("inside")

    with record() as run, pytest.raises(ValueError, match="inside"):
        list(failing())
    assert run.records[0].error == "ValueError: inside"
    assert run.records[0].output == ["one"]


def test_the_consumer_of_a_generator_is_not_inside_it():
    @functional_node
    def source():
        yield plain("in")[0] + "side"

    with record() as run:
        for item in source():
            plain(item)
    inner, outer, generator = run.records
    assert (inner.parent_id, outer.parent_id) == (generator.id, None)
    assert outer.refs[0].source == generator.id  # it had left the stream before the stream ended
    assert generator.end > outer.start > generator.attributes["tracediff.yields"][0] - 1


def test_async_generators_keep_the_protocol():
    async def protocol(function):
        generator = function(5)
        seen = [await anext(generator), await generator.asend("sent"), await generator.athrow(KeyError("thrown"))]
        await generator.aclose()
        return seen + [item async for item in generator]

    untraced = asyncio.run(protocol(inspect.unwrap(anumbers)))
    with record() as run:
        assert asyncio.run(protocol(anumbers)) == untraced
    inner, outer = run.records
    assert outer.output == ["item 0", "item 1", "item 2"]
    assert inner.parent_id == outer.id
    assert "closed" in inner.inputs["a"]


def test_tasks_and_threads_have_the_right_parent():
    @functional_node
    async def parent(x):
        return await asyncio.gather(tool(x + "1"), asyncio.to_thread(plain, x + "2"), tool(x + "3"))

    @functional_node
    def threaded(x):
        thread = threading.Thread(target=plain, args=(x,))
        thread.start()
        thread.join()

    async def program():
        await asyncio.gather(parent("a"), parent("b"))

    with record() as run:
        asyncio.run(program())
        threaded("c")
    parents = {entry.id: entry.inputs["x"] for entry in run.records if entry.name.endswith(".parent")}
    assert sorted(parents.values()) == ["a", "b"]
    for entry in run.records:
        if entry.parent_id in parents:
            first = entry.inputs.get("x") or entry.inputs.get("a")
            assert first[0] == parents[entry.parent_id]
    assert len([entry for entry in run.records if entry.parent_id is not None]) == 7


def test_sequence_numbers_order_the_run():
    with record() as run:
        plain("a")
        numbers(1)
        plain("b")
    numbered = [number for entry in run.records for number in (entry.start, entry.end)]
    assert len(set(numbered)) == len(numbered)
    assert all(entry.start < entry.end for entry in run.records)
    assert [entry.end for entry in run.records] == sorted(entry.end for entry in run.records)


def test_many_threads_lose_nothing_and_share_no_number():
    def work():
        for _ in range(50):
            plain("x")

    with record() as run:
        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(run.records) == 800
    assert len({entry.id for entry in run.records}) == 800
    assert len({number for entry in run.records for number in (entry.start, entry.end)}) == 1600


def test_five_thousand_deep():
    @functional_node
    def deep(n):
        return "bottom" if n == 0 else deep(n - 1)

    limit = sys.getrecursionlimit()
    done = []

    def work():
        with record() as run:
            done.append(deep(5_000))
        done.append(run)

    threading.stack_size(512 * 1024 * 1024)
    sys.setrecursionlimit(50_000)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(0)
    assert done[0] == "bottom"
    assert len(done[1].records) == 5_001


def test_a_returned_iterator_is_not_consumed():
    @functional_node
    def lazy():
        return (i for i in range(3))

    result, _ = trace(lazy)
    assert list(result) == [0, 1, 2]


def test_nothing_is_recorded_or_kept_outside_of_a_recording():
    @functional_node
    def f(x):
        return x

    class Thing:
        pass

    thing = Thing()
    f(thing)
    before = len(gc.get_referrers(thing))
    with record():
        pass
    f(thing)
    assert len(gc.get_referrers(thing)) == before


def test_a_prompt_inside_a_node_is_its_child():
    text = trainable_prompt("hello {x}", name="test.child")

    @functional_node
    def node():
        return text(x="you")

    with record() as run:
        node()
    assert run.records[0].parent_id == run.records[1].id
