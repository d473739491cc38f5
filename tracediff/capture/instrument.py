"""Turning integrations on and off: ``instrument`` and ``uninstrument``."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tracediff.capture import exits, metering, spans
from tracediff.capture.context import stop_carrying
from tracediff.capture.live import open_recordings
from tracediff.errors import MissingIntegration, UnsupportedVersion, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

GROUP = "tracediff.integrations"
"""Entry-point group; each entry is ``install() -> uninstall`` and raises MissingIntegration without its library."""

_FIRST_PARTY = {
    "openai": "tracediff_openai:install",
    "anthropic": "tracediff_anthropic:install",
    "langchain": "tracediff_langchain:install",
    "langgraph": "tracediff_langgraph:install",
    "llama_index": "tracediff_llama_index:install",
}
"""Ours, for a source tree whose metadata is not installed; a registered entry of the same name wins."""


class _Installed:
    """What is patched in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.uninstalls: dict[str, Callable[[], None]] = {}


_installed = _Installed()


def instrument(
    *names: str,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    redact: Callable[[str], str] | None = None,
    max_content_chars: int | None = None,
    exit_timeout_s: float | None = None,
) -> tuple[str, ...]:
    """Return the names of the integrations that are on now, after turning on ``names``.

    Without names: every integration whose library is installed. A library is never imported here; it is patched when
    the program imports it. Turning on twice changes nothing. Spans, metrics and events go to the providers given, else
    to the global ones as they are at each call; none is ever set.

    Content leaves only where OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says SPAN_ONLY, EVENT_ONLY (one event a
    model call, to the logger provider) or SPAN_AND_EVENT, each text as ``redact`` returns it, and cut after
    ``max_content_chars``. Recordings in the process stay whole, and the edges inferred from them are exported beside
    what was redacted.

    With ``exit_timeout_s`` the end of the process, and a shutdown of one of these providers that the program asks for,
    waits no longer than that for exporters whose collector hangs, and what was not exported is logged; without it each
    provider decides, OpenTelemetry's after up to 30 seconds.

    Raises:
        UsageError: a name that no integration has, a limit below 1, or a negative time.
        MissingIntegration: a named integration whose library is not installed, with the pip line; UnsupportedVersion
            where it is installed in a version that is not supported. Without names the latter is a warning.
    """
    from tracediff.capture import eventing, redaction  # here, so that `import tracediff` stays light

    known = _known()
    _check(names, known)
    with _installed.lock:
        if tracer_provider is not None:
            spans.use_provider(tracer_provider)
        if meter_provider is not None:
            metering.use_meter_provider(meter_provider)
        if logger_provider is not None:
            eventing.use_logger_provider(logger_provider)
        if redact is not None or max_content_chars is not None:
            redaction.limit(redact, max_content_chars)
        if exit_timeout_s is not None:
            exits.bound(exit_timeout_s)
        for name in names or known:
            if name in _installed.uninstalls:
                continue
            try:
                _installed.uninstalls[name] = known[name].load()()
            except MissingIntegration as error:
                if names:
                    raise
                if isinstance(error, UnsupportedVersion):
                    warnings.warn(str(error), stacklevel=2)
        return tuple(_installed.uninstalls)


def uninstrument(*names: str) -> None:
    """Restore what the named integrations patched, all of them without names; those that are off stay off.

    When none is left on, spans and metrics go to the global providers again, and no redaction is in force. Without
    names and while nothing is recorded, threads and pools are as before too.
    """
    from tracediff.capture import eventing, redaction

    with _installed.lock:
        on = list(_installed.uninstalls)
    _check(names, {**_known(), **dict.fromkeys(on)})
    with _installed.lock:
        for name in names or on:
            if (uninstall := _installed.uninstalls.pop(name, None)) is not None:
                uninstall()
        if not _installed.uninstalls:
            spans.use_provider(None)
            metering.use_meter_provider(None)
            eventing.use_logger_provider(None)
            redaction.limit(None, None)
            exits.bound(None)
    if not names and not open_recordings:
        stop_carrying()


def is_instrumented(name: str) -> bool:
    """True while the integration of this name is on."""
    return name in _installed.uninstalls


def _known() -> dict[str, EntryPoint]:
    """Return every integration by name, ours first."""
    from importlib.metadata import EntryPoint

    ours = {name: EntryPoint(name, value, GROUP) for name, value in _FIRST_PARTY.items()}
    return ours | {entry.name: entry for entry in entry_points(group=GROUP)}


def entry_points(group: str) -> Iterable[EntryPoint]:
    """Return the entry points of a group."""
    from importlib import metadata  # as much to import as half of OpenTelemetry's API

    return metadata.entry_points(group=group)


def _check(names: tuple[str, ...], known: dict[str, EntryPoint | None] | dict[str, EntryPoint]) -> None:
    """Raise UsageError for a name that no integration has."""
    for name in names:
        if name not in known:
            raise UsageError(
                f"no integration is named {name!r}; known: {', '.join(sorted(known))}. "
                f"A package adds one by an entry point in the group {GROUP!r}."
            )
