"""The entry point ``opentelemetry_instrumentor``: ``opentelemetry-instrument python app.py`` traces an undecorated app.

Not imported by the package itself: it is OpenTelemetry that loads it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from tracediff.capture.instrument import instrument, uninstrument


class TracediffInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """``tracediff.instrument`` in the form that OpenTelemetry's own tools use.

    >>> TracediffInstrumentor().instrumentation_dependencies()
    ()
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return no requirement: each client library is patched when the program imports it."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        """Turn on every integration whose library is installed."""
        known = (
            "tracer_provider",
            "meter_provider",
            "logger_provider",
            "redact",
            "max_content_chars",
            "exit_timeout_s",
        )
        instrument(**{key: kwargs[key] for key in known if key in kwargs})

    def _uninstrument(self, **_kwargs: Any) -> None:
        """Restore what was patched."""
        uninstrument()
