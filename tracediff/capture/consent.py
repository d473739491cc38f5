"""What the environment says of content: whether it may leave on spans, in events, or not at all, which is the default.

Asked for every run, and a call that is exported but not recorded is a run: so asking must cost little.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tracediff import attributes as keys

_SPANS = ("SPAN_ONLY", "SPAN_AND_EVENT")
_EVENTS = ("EVENT_ONLY", "SPAN_AND_EVENT")


class _Consent:
    """The standard environment variable, as it was read last."""

    def __init__(self) -> None:
        self._raw: Mapping[Any, Any] = getattr(os.environ, "_data", os.environ)
        """What ``os.environ`` keeps: a look at a variable that is not set takes it a microsecond (CPython 3.11)."""
        self._key: Any = keys.CAPTURE_CONTENT_VARIABLE
        if self._raw is not os.environ:
            self._key = os.environ.encodekey(self._key)
        self._seen: Any = None
        self._on_spans = self._in_events = False

    def on_spans(self) -> bool:
        """Tell whether content may leave on spans."""
        if self._raw.get(self._key) != self._seen:
            self._read()
        return self._on_spans

    def in_events(self) -> bool:
        """Tell whether content may leave in events."""
        if self._raw.get(self._key) != self._seen:
            self._read()
        return self._in_events

    def _read(self) -> None:
        said = os.environ.get(keys.CAPTURE_CONTENT_VARIABLE, "").upper()
        self._on_spans, self._in_events = said in _SPANS, said in _EVENTS
        self._seen = self._raw.get(self._key)


_consent = _Consent()
on_spans, in_events = _consent.on_spans, _consent.in_events
