"""What became of exported spans: handed over, delivered, refused, still waiting, dropped.

OpenTelemetry's queues drop silently and its flush says True when it failed, so deliveries are counted where they
happen: at each exporter's ``export``. A recording does not depend on any of it.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tracediff.capture import exits
from tracediff.capture.faults import faults

_log = logging.getLogger("tracediff")
SCOPE = "tracediff"
"""Name of our tracer."""


@dataclass(frozen=True, slots=True)
class ExporterReport:
    """What one exporter made of the spans of tracediff."""

    name: str
    """Its class."""
    exported: int
    failed: int
    """Handed to the collector, and not taken."""
    waiting: int
    """In the processor's queue, or on the way."""
    dropped: int
    """Never reached the exporter: the queue was full, or it shut down before."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What became of the spans of tracediff in this process; recordings hold every call all the same."""

    ended: int
    """Sampled spans that were handed to the provider."""
    exporters: tuple[ExporterReport, ...]
    """Empty where the provider has none that can be seen."""

    @property
    def lost(self) -> int:
        """Spans that some exporter has dropped or failed to deliver."""
        return max((report.failed + report.dropped for report in self.exporters), default=0)

    def __str__(self) -> str:
        """Return it in words."""
        if not self.exporters:
            return f"{self.ended} spans ended; no exporter is known, so nothing is known of their delivery"
        return "; ".join(
            f"{item.name}: {item.exported} of {self.ended} spans exported, {item.failed} failed, "
            f"{item.dropped} dropped, {item.waiting} waiting"
            for item in self.exporters
        )


class _Watched:
    """One exporter, and what passed through it since it is watched."""

    def __init__(self, exporter: Any, processor: Any, base: int) -> None:
        self.exporter = exporter
        self.processor = processor
        self.base = base
        """Spans that had ended before."""
        self.exported = 0
        self.failed = 0
        self.in_flight = 0
        self.lock = threading.Lock()

    def report(self, ended: int, *, is_closed: bool = False) -> ExporterReport:
        """Return the counts; what is nowhere was dropped, and so is what still waits when the exporter is closed."""
        with self.lock:
            queued = 0 if is_closed else self._queued()
            exported, failed, waiting = self.exported, self.failed, self.in_flight + queued
        ended -= self.base
        waiting = min(waiting, max(ended - exported - failed, 0))
        return ExporterReport(
            type(self.exporter).__name__, exported, failed, waiting, max(ended - exported - failed - waiting, 0)
        )

    def _queued(self) -> int:
        queue = getattr(getattr(self.processor, "_batch_processor", None), "_queue", ())
        for _ in range(3):
            try:
                return _ours(tuple(queue))
            except RuntimeError:  # it changed meanwhile
                continue
        return len(queue)


class Outlet:
    """The way out through one provider: how many spans went in, and what each exporter delivered."""

    def __init__(self, provider: Any) -> None:
        self.provider = provider
        self.count = itertools.count().__next__
        """Called for each span that ended; atomic, and a third of the cost of a lock."""
        self._reads = 0
        self._lock = threading.Lock()
        self._watched: dict[int, _Watched] = {}
        self._is_told = False
        self._is_closed = False

    @property
    def ended(self) -> int:
        """How many spans have ended; reading the counter counts too."""
        with self._lock:
            found = self.count() - self._reads
            self._reads += 1
            return found

    def watch(self) -> None:
        """Watch the exporters that the provider has now; those seen before stay watched."""
        try:
            for processor in _processors(self.provider):
                exporter = getattr(processor, "span_exporter", None)
                if exporter is None or id(exporter) in self._watched:
                    continue
                watched = self._watched[id(exporter)] = _Watched(exporter, processor, self.ended)
                exporter.export = _counted(exporter.export, watched)
                exporter.shutdown = _followed(exporter.shutdown, self.tell)
        except Exception as error:  # an exporter that can't be watched exports all the same
            faults.note("watching an exporter", error)

    def report(self) -> ExportReport:
        """Return what became of the spans so far."""
        self.watch()
        ended = self.ended
        return ExportReport(
            ended, tuple(watched.report(ended, is_closed=self._is_closed) for watched in self._watched.values())
        )

    def tell(self) -> None:
        """Log once, at the end, how many spans were not delivered. Never raises into the user's shutdown."""
        self._is_closed = True
        try:
            report = self.report()
            is_missing = report.lost or any(exporter.waiting for exporter in report.exporters)  # that one hangs
            if is_missing and not self._is_told:
                self._is_told = True
                _log.warning("tracediff: spans were not exported (recordings are complete): %s", report)
        except Exception as error:
            faults.note("telling what was not exported", error)

    def flush(self, timeout_s: float) -> ExportReport:
        """Export what waits, for ``timeout_s`` at most: OpenTelemetry's own flush does not keep its timeout."""
        self._bounded("force_flush", timeout_s)
        return self.report()

    def shutdown(self, timeout_s: float) -> ExportReport:
        """Shut the provider down, waiting ``timeout_s`` at most, and log what was not exported.

        OpenTelemetry's own waits up to 30 seconds for a collector that hangs. It does nothing the second time, so the
        one that a provider has registered for the exit returns at once after this.
        """
        self._bounded("shutdown", timeout_s)
        self.tell()
        return self.report()

    def _bounded(self, name: str, timeout_s: float) -> None:
        own = exits.own_shutdown(self.provider) if name == "shutdown" else getattr(self.provider, name, None)
        if own is None:
            return
        try:
            exits.within(own, timeout_s)
        except Exception as error:  # the user's exporter, or a process that ends and starts no thread any more
            faults.note(f"{name} of a provider", error)


def _processors(provider: Any) -> Iterator[Any]:
    """Yield the span processors of an SDK provider, or of one that wraps it, down to those with exporters."""
    provider = getattr(provider, "provider", provider)
    stack = [getattr(provider, "_active_span_processor", None)]
    while stack:
        processor = stack.pop()
        if processor is None:
            continue
        inner = getattr(processor, "_span_processors", None)
        if inner is not None:
            stack += list(inner)
        elif hasattr(processor, "span_exporter"):
            yield processor
        else:  # a processor around another, as Logfire has
            stack.append(getattr(processor, "processor", None))


def _ours(spans: Sequence[Any]) -> int:
    return sum(1 for span in spans if getattr(getattr(span, "instrumentation_scope", None), "name", "") == SCOPE)


def _counted(export: Callable[..., Any], watched: _Watched) -> Callable[..., Any]:
    """Return an exporter's ``export`` that also counts our spans; arguments, results and exceptions pass through."""

    @functools.wraps(export)
    def counting(spans: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        try:
            ours = _ours(spans)
        except Exception as error:  # the batch goes out uncounted
            faults.note("counting spans", error)
            return export(spans, *args, **kwargs)
        with watched.lock:
            watched.in_flight += ours
        is_taken = False
        try:
            result = export(spans, *args, **kwargs)
            is_taken = getattr(result, "name", "") == "SUCCESS"
        finally:
            with watched.lock:
                watched.in_flight -= ours
                if is_taken:
                    watched.exported += ours
                else:
                    watched.failed += ours
        return result

    return counting


def _followed(shutdown: Callable[..., Any], then: Callable[[], None]) -> Callable[..., Any]:
    """Return an exporter's ``shutdown`` that is followed by ``then``; the SDK reads its signature."""

    @functools.wraps(shutdown)
    def following(*args: Any, **kwargs: Any) -> Any:
        try:
            return shutdown(*args, **kwargs)
        finally:
            then()

    following.__signature__ = inspect.signature(shutdown)  # type: ignore[attr-defined]
    return following
