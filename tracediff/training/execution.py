"""Execution: running a program on samples at the same time, in threads if it is sync and in tasks if it is async."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar

from tracediff.capture.context import Scope, carry_into_threads, current_scope, scoped
from tracediff.capture.recorder import error_text
from tracediff.errors import EngineRefused, TracediffError
from tracediff.graph.runs import Run, record
from tracediff.parameters import Candidate
from tracediff.training.budget import Cost
from tracediff.training.faults import Fault, broken_answer, fault_of, own_error
from tracediff.training.samples import Arguments, Binding, Sample
from tracediff.training.usage import cost_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of the program on one sample, retries included."""

    sample: Sample
    arguments: Arguments
    prediction: Any
    run: Run
    fault: Fault = ""
    message: str = ""
    """``TypeName: message`` of the exception, or where the context was lost."""
    cost: Cost = field(default_factory=Cost)
    """Of all attempts."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a run that failed in transport is repeated; the client's own retries come first."""

    retries: int = 2
    wait_s: float = 1.0
    """Before the first repetition; doubled for each further one."""


class Executor:
    """Runs a program; close it. Results never depend on timing: they come in the order of the samples."""

    def __init__(
        self,
        program: object,
        *,
        max_in_flight: int = 16,
        loop: asyncio.AbstractEventLoop | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.binding = Binding.of(program)
        self.max_in_flight = max_in_flight
        self.is_async = _is_async(self.binding.call)
        self._patience = patience or Patience()
        self._loop = loop
        self._own_loop: _LoopThread | None = None
        self._slots = asyncio.Semaphore(max_in_flight)
        self._pool: ThreadPoolExecutor | None = None
        self._making = threading.Lock()
        self._stopped = threading.Event()
        self._outstanding: list[Future[Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def map(self, samples: Sequence[Sample], candidate: Candidate | None, after: Callable[[Execution], T]) -> list[T]:
        """Return ``after(execution)`` for each sample, in order; ``after`` runs in a worker as soon as a run is over.

        Raises what the first sample in order raised (a refused call, a metric's error), when no run is left in flight.
        """
        arguments = [self.binding.arguments(sample) for sample in samples]  # bad input costs no call
        if self._stopped.is_set():
            raise TracediffError("the run was cancelled")
        carry_into_threads()
        jobs = [_Job(s, a, candidate, self._patience, after) for s, a in zip(samples, arguments, strict=True)]
        failed = threading.Event()
        futures = [self._submit(job, failed) for job in jobs]
        self._outstanding = list(futures)
        try:
            _, waiting = wait(futures, return_when=FIRST_EXCEPTION)
            for future in waiting:
                future.cancel()
            wait(futures)
        except BaseException:  # an interrupt: start no more runs
            self.cancel()
            raise
        return _in_order(futures)

    def cancel(self) -> None:
        """Start no further run; those in flight end by themselves."""
        self._stopped.set()
        for future in self._outstanding:
            future.cancel()

    def close(self) -> None:
        """Let go of threads and loop."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        if self._own_loop is not None:
            self._own_loop.close()

    def _submit(self, job: _Job[T], failed: threading.Event) -> Future[T | _Exit]:
        """Start a job; it is skipped when another one has ``failed`` by then."""
        if self.is_async:
            if self._loop is None:
                self._own_loop = _LoopThread()
                self._loop = self._own_loop.loop
            task = self._task(job, failed)
            return asyncio.run_coroutine_threadsafe(task, self._loop)
        return self._workers().submit(contextvars.copy_context().run, self._in_thread, job, failed)

    def _workers(self) -> ThreadPoolExecutor:
        with self._making:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.max_in_flight, thread_name_prefix="tracediff-run")
            return self._pool

    def _in_thread(self, job: _Job[T], failed: threading.Event) -> T:
        with _only_if_none(failed):
            attempts = _Attempts(job)
            while True:
                result: Any = None
                error: BaseException | None = None
                with job.trial() as run:
                    try:
                        result = self.binding.call(*job.arguments.args, **job.arguments.kwargs)
                        if inspect.isawaitable(result) or inspect.isasyncgen(result):  # handed out by a plain function
                            result = asyncio.run(_finished(result))
                        result = _consumed(result)
                        run.set_output(result)
                    except _OWN_DOING as raised:  # the program's: judged below
                        error = raised
                wait_s = attempts.end(run, result, error)
                if wait_s is None or self._stopped.wait(wait_s):
                    return job.after(attempts.execution())

    async def _in_worker(self, after: Callable[[Execution], T], execution: Execution) -> T:
        """Return ``after(execution)`` from a thread of ours: metrics may block, and the loop's own threads be taken."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._workers(), context.run, after, execution)

    async def _task(self, job: _Job[T], failed: threading.Event) -> T | _Exit:
        """Run one job; what would end the loop, and so leave everybody waiting, is handed over to be raised there."""
        try:
            return await self._attempted(job, failed)
        except (KeyboardInterrupt, SystemExit) as error:
            return _Exit(error)

    async def _attempted(self, job: _Job[T], failed: threading.Event) -> T:
        async with self._slots:
            with _only_if_none(failed):
                attempts = _Attempts(job)
                while True:
                    result: Any = None
                    error: BaseException | None = None
                    with job.trial() as run:
                        # In a task of its own, so that a program which cancels itself does not cancel ours.
                        running = asyncio.ensure_future(_outcome(self.binding, job.arguments))
                        try:
                            result, error = await running
                        except asyncio.CancelledError as raised:
                            if _is_cancelled():
                                raise
                            error = raised
                        if error is None:
                            run.set_output(result)
                        elif not isinstance(error, _OWN_DOING):
                            raise error
                    wait_s = attempts.end(run, result, error)
                    if wait_s is None:
                        break
                    await asyncio.sleep(wait_s)
                return await self._in_worker(job.after, attempts.execution())


@dataclass(frozen=True, slots=True)
class _Job(Generic[T]):
    """One sample to run."""

    sample: Sample
    arguments: Arguments
    candidate: Candidate | None
    patience: Patience
    after: Callable[[Execution], T]

    @contextmanager
    def trial(self) -> Iterator[Run]:
        """Run the block as one trial of the candidate (over the texts in use), apart from any recording around it."""
        outer = current_scope()
        texts = {**((outer.candidate if outer else None) or {}), **(self.candidate or {})}
        with scoped(Scope(candidate=texts)), record(sample_id=self.sample.id, is_trial=True) as run:
            yield run


@contextmanager
def _only_if_none(failed: threading.Event) -> Iterator[None]:
    """Run the block unless a job has failed, and tell the others when this one does."""
    if failed.is_set():
        raise CancelledError
    try:
        yield
    except BaseException:
        failed.set()
        raise


class _Attempts:
    """The attempts at one sample: what they cost, and whether there is to be another."""

    def __init__(self, job: _Job[Any]) -> None:
        self._job = job
        self._started = time.monotonic()
        self._cost = Cost()
        self._count = 0
        self._last: tuple[Run, Any, Fault, str] | None = None

    def end(self, run: Run, result: Any, error: BaseException | None) -> float | None:
        """Keep one attempt; return the seconds to wait before the next, or None when this was the last."""
        self._cost += cost_of(run.records)
        fault: Fault = "" if error is None else fault_of(error)
        message = "" if error is None else error_text(error)
        if error is not None and fault == "usage":
            raise own_error(error) or error
        if fault == "refused":
            raise EngineRefused(
                f"the program's model refused a call on {self._job.sample.label}: {message}. Check the key, the "
                "model's name and the quota; nothing that was finished is lost"
            ) from error
        if fault in {"", "program"} and (broken := broken_answer(run.records)):
            fault, message = "transport", broken
        if run.lost:
            fault, message = "lost", "; ".join(dict.fromkeys(run.lost))
        self._last = (run, result, fault, message)
        self._count += 1
        if fault != "transport" or self._count > self._job.patience.retries:
            return None
        return self._job.patience.wait_s * 2.0 ** (self._count - 1)

    def execution(self) -> Execution:
        """Return what the attempts came to."""
        assert self._last is not None
        run, result, fault, message = self._last
        seconds = time.monotonic() - self._started
        return Execution(self._job.sample, self._job.arguments, result, run, fault, message, self._cost, seconds)


_OWN_DOING = (Exception, SystemExit, asyncio.CancelledError)
"""What a program raises by itself; KeyboardInterrupt is the user's."""


@dataclass(frozen=True, slots=True)
class _Exit:
    """An exception that would end an event loop if it were raised in a task."""

    error: BaseException


def _is_async(call: Callable[..., Any]) -> bool:
    """Return whether calling gives a coroutine or an async generator; looks through partials and at ``__call__``."""
    return any(
        is_one(item)
        for is_one in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        for item in (call, getattr(call, "__call__", None))  # noqa: B004
    )


async def _outcome(binding: Binding, arguments: Arguments) -> tuple[Any, BaseException | None]:
    """Return (result, exception) of a call; a task that raised SystemExit or KeyboardInterrupt would end its loop."""
    try:
        return await _finished(binding.call(*arguments.args, **arguments.kwargs)), None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # judged by the one who waits
        return None, error


def _is_cancelled() -> bool:
    """Return whether somebody cancelled the running task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _finished(result: Any) -> Any:
    """Return what a program came to: awaited, and the items of a generator as a list."""
    if inspect.isawaitable(result):
        result = await result
    if inspect.isasyncgen(result):
        return [item async for item in result]
    return _consumed(result)


def _consumed(result: Any) -> Any:
    """Return a lazy result as the list of its items, which run the program's code and so belong into the trial."""
    return list(result) if inspect.isgenerator(result) or isinstance(result, map | filter | zip) else result


def _in_order(futures: Sequence[Future[T | _Exit]]) -> list[T]:
    """Return the results in order, when nothing is in flight any more; raise what the first of them raised."""
    results: list[T] = []
    errors: list[BaseException] = []
    is_cancelled = False
    for future in futures:
        try:
            error = future.exception()  # not raised here: an interrupt of ours is
        except CancelledError:
            is_cancelled = True
            continue
        found = error if error is not None else future.result()
        if isinstance(found, CancelledError):
            is_cancelled = True
        elif isinstance(found, _Exit):
            errors.append(found.error)
        elif error is not None:
            errors.append(error)
        else:
            results.append(future.result())  # type: ignore[arg-type]  # not an _Exit, see above
    if errors:
        raise errors[0]
    if is_cancelled:
        raise TracediffError("the run was cancelled")
    return results


class _LoopThread:
    """An event loop of its own in a thread, so that async programs also run where a loop runs already (Jupyter)."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="tracediff-loop", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the loop, end what is left on it, and wait for the thread."""
        asyncio.run_coroutine_threadsafe(_wind_up(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _wind_up() -> None:
    """Cancel what still runs on this loop and close what it opened."""
    loop = asyncio.get_running_loop()
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
