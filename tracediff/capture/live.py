"""The open recordings of this process, and the trials that a read without the run's context makes invalid.

A baseline prompt, or another candidate's, must never be scored as the candidate's.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING

from tracediff.capture.context import SCOPE_KEY, Scope, current_scope

if TYPE_CHECKING:
    from tracediff.capture.recording import Recording

_WITH_THEIR_OWN = frozenset({"anyio"})
"""Packages whose threads run each job in the context of whoever handed it over."""


class Live:
    """The open recordings: for lost contexts, and to part from them after a fork."""

    def __init__(self) -> None:
        self.open: dict[int, Recording] = {}
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave)

    def trials(self) -> list[Recording]:
        """Return the open recordings that judge a candidate."""
        return [recording for recording in list(self.open.values()) if recording.is_trial and recording.is_open]

    def _leave(self) -> None:
        """In a forked child: the recordings are the parent's. The child's calls are not written into its copies."""
        for recording in list(self.open.values()):
            recording.is_open = False
        self.open.clear()


live = Live()
open_recordings: Mapping[int, Recording] = live.open
"""The open recordings of this process: while empty, and with no provider, a traced call is a plain call."""


class Strays:
    """Threads that a trial started and that read a prompt or called a client in its scope, until the trial ends.

    One that lives on serves others too (a worker behind a queue): what it read for them were this trial's texts.
    """

    def __init__(self) -> None:
        self._served: dict[threading.Thread, list[tuple[Recording, str]]] = {}

    def note(self, thread: threading.Thread, trial: Recording, site: str) -> None:
        """Keep that ``thread`` used ``site`` in ``trial`` while trials of other candidates were open."""
        others = [other for other in live.trials() if other.run_id != trial.run_id]
        found = [(other, site) for other in others if other.candidate != trial.candidate]
        if found:
            self._served.setdefault(thread, []).extend(found)

    def settle(self) -> None:
        """At the trial's end: mark the trials that a thread which lives on may have served."""
        for thread, served in self._served.items():
            if thread.is_alive() and thread not in _pool_threads():
                for other, site in served:
                    if other.is_open and site not in other.lost:
                        other.lost.append(site)
        self._served.clear()


def note_lost_context(site: str) -> None:
    """Mark every open trial when ``site`` (a prompt read, a client call) runs outside of every run.

    Lost is code without a scope, in a scope without a recording, and in that of a run that is over (a thread that
    outlived it). A thread that a trial started and that serves others is told from the trial's own only when the trial
    ends before they do: then they are marked too. Not noticed: such a thread where the others end first, and a task
    that serves others through a queue.
    """
    if not live.open:
        return
    scope = current_scope()
    if scope is not None and scope.is_suppressed:
        return
    if scope is None or scope.recording is None or not scope.recording.is_open:
        for trial in live.trials():
            trial.lost.append(site)
    elif scope.is_trial:
        trial = scope.recording.outermost
        thread = threading.current_thread()
        if thread.ident != trial.home and _started_in(thread) is trial and not _carries_contexts(thread):
            trial.strays.note(thread, trial, site)


def has_lost_context() -> bool:
    """True when the running code has no scope, or that of a run that is over; under ``using`` it has its own."""
    scope = current_scope()
    return scope is None or (scope.recording is not None and not scope.recording.is_open)


def _started_in(thread: threading.Thread) -> Recording | None:
    """Return the run that a thread was started in; a job handed to it with a context of its own may be another's."""
    context = getattr(thread, "_otel_context", None)  # where opentelemetry-instrumentation-threading keeps it
    scope = None if context is None else context.get(SCOPE_KEY)
    return scope.recording.outermost if isinstance(scope, Scope) and scope.recording is not None else None


def _carries_contexts(thread: threading.Thread) -> bool:
    """True in a thread whose jobs run in the context that they were handed over in: of a loop, of a known package."""
    events = sys.modules.get(
        "asyncio.events"
    )  # where it was never imported, no loop runs; `import tracediff` stays light
    if events is not None and events._get_running_loop() is not None:
        return True
    if isinstance(thread, threading._DummyThread):
        return True
    return type(thread).__module__.partition(".")[0] in _WITH_THEIR_OWN


def _pool_threads() -> Container[threading.Thread]:
    """Return the threads of ThreadPoolExecutors: OpenTelemetry has each job of theirs run in its submitter's context.

    Read late: a pool enters a thread here just after it was started.
    """
    found: Container[threading.Thread] = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", ())
    return found
