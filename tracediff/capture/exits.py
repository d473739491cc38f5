"""The end of a program whose collector hangs: with ``exit_timeout_s`` nobody waits for its exporters any longer.

OpenTelemetry's providers wait up to 30 seconds, each for itself. Bounded are those that spans, metrics and events of
tracediff go to, at the end of the process and where the program itself asks one of them to shut down.
"""

from __future__ import annotations

import atexit
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from time import monotonic
from typing import Any

from tracediff.capture.faults import faults
from tracediff.errors import UsageError


@dataclass(slots=True)
class _Held:
    """One provider, its own ``shutdown``, what stands in its place while it is bounded, and what to do after it."""

    provider: Any
    own: Callable[..., Any]
    then: Callable[[], None] | None
    put: Callable[..., Any] | None = None
    spare: _Spare | None = None


class _Exit:
    """How long is waited, and for whom; None leaves it to the providers."""

    def __init__(self) -> None:
        self.timeout_s: float | None = None
        self.lock = threading.Lock()
        self.held: list[_Held] = []

    def __call__(self) -> None:
        """Shut all providers down at once, within one deadline."""
        if self.timeout_s is None:
            return
        deadline = monotonic() + self.timeout_s
        held = list(self.held)
        calls = [_Attempt(each.own, each.spare) for each in held]
        for call in calls:
            call.wait(deadline - monotonic())
            if call.error is not None:
                faults.note("shutdown of a provider", call.error)
        for each in held:
            if each.then is not None:
                each.then()


_exit = _Exit()


class _Spare:
    """A thread that waits for calls: Python 3.12 starts none any more while a process ends."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._is_free = True
        self._thread = threading.Thread(target=self._serve, name="tracediff-exit", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            self._calls.get()()
            self._is_free = True

    def takes(self, call: Callable[[], None]) -> bool:
        """Run ``call`` there and return True; False where it is busy or a fork has left it behind."""
        if not self._is_free or not self._thread.is_alive():
            return False
        self._is_free = False
        self._calls.put(call)
        return True


class _Attempt:
    """A call in another thread."""

    def __init__(self, call: Callable[[], Any], spare: _Spare | None = None) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self._call = call
        self._is_over = threading.Event()
        if spare is not None and spare.takes(self._run):
            return
        try:
            threading.Thread(target=self._run, name="tracediff-shutdown", daemon=True).start()
        except RuntimeError as error:  # the process ends, and its provider has a handler of its own
            self.error = error
            self._is_over.set()

    def _run(self) -> None:
        try:
            self.result = self._call()
        except Exception as error:  # the user's exporter; whoever waits may want it
            self.error = error
        finally:
            self._is_over.set()

    def wait(self, timeout_s: float) -> None:
        """Wait for its end, or no longer than that."""
        self._is_over.wait(max(timeout_s, 0))


def bound(timeout_s: float | None) -> None:
    """Wait ``timeout_s`` at most for the exporters; None: as long as the providers do.

    Raises:
        UsageError: a negative time.
    """
    if timeout_s is not None and timeout_s < 0:
        raise UsageError(f"exit_timeout_s must be 0 or more, not {timeout_s}")
    with _exit.lock:
        _exit.timeout_s = timeout_s
        for held in _exit.held:
            _free(held) if timeout_s is None else _bind(held)
        _register()


def hold(provider: Any, then: Callable[[], None] | None = None) -> None:
    """Know a provider that something of ours goes to; ``then`` is called after its bounded shutdown."""
    own = getattr(provider, "shutdown", None)
    if own is None:
        return
    with _exit.lock:
        if any(held.provider is provider for held in _exit.held):
            return
        held = _Held(provider, own, then)
        _exit.held = [*_exit.held[-23:], held]
        if _exit.timeout_s is not None:
            _bind(held)
            _register()  # behind the provider's own handler, so that it runs before it


def own_shutdown(provider: Any) -> Callable[..., Any] | None:
    """Return a provider's ``shutdown`` as it is without us."""
    held = next((held for held in _exit.held if held.provider is provider), None)
    return getattr(provider, "shutdown", None) if held is None else held.own


def within(call: Callable[[], Any], timeout_s: float, spare: _Spare | None = None) -> Any:
    """Return what ``call`` returns, or None after ``timeout_s``; what it raises is raised."""
    attempt = _Attempt(call, spare)
    attempt.wait(timeout_s)
    if attempt.error is not None:
        raise attempt.error
    return attempt.result


def _register() -> None:
    atexit.unregister(_exit)
    if _exit.timeout_s is not None:
        atexit.register(_exit)


def _bind(held: _Held) -> None:
    """Put a bounded shutdown in the place of the provider's own."""
    if held.put is not None:
        return
    held.put, held.spare = _bounded(held), held.spare or _Spare()
    held.provider.shutdown = held.put


def _bounded(held: _Held) -> Callable[..., Any]:
    @functools.wraps(held.own)
    def shutdown(*args: Any, **kwargs: Any) -> Any:
        timeout_s = _exit.timeout_s
        if timeout_s is None:
            return held.own(*args, **kwargs)
        try:
            return within(lambda: held.own(*args, **kwargs), timeout_s, held.spare)
        finally:
            if held.then is not None:
                held.then()

    return shutdown


def _free(held: _Held) -> None:
    """Leave the provider's own shutdown in its place, unless another tool put its own there."""
    if held.put is not None and vars(held.provider).get("shutdown") is held.put:
        del held.provider.shutdown
        if held.provider.shutdown != held.own:  # it was an attribute of this provider
            held.provider.shutdown = held.own
    held.put = None
