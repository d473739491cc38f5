"""Snapshots as plain JSON data, the same for equal snapshots and different for different ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracediff.capture.values import Cut, Obj, Placeholder, Value


def plain(value: Value | Mapping[str, Value]) -> Any:
    """Return a snapshot as lists, mappings and scalars; whatever JSON lacks is a tagged list."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float)):
        return value if value == value and abs(value) < 2**53 else ["number", repr(value)]  # noqa: PLR0124 - NaN
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(plain, value)]
    if isinstance(value, Obj):
        return ["obj", value.type, [[key, plain(item)] for key, item in value.fields.items()]]
    if isinstance(value, Cut):
        return ["cut", value.type, plain(value.head), value.length, value.digest]
    if isinstance(value, Placeholder):
        return ["placeholder", value.type, value.reason]
    return {"entries": [[plain(key), plain(item)] for key, item in value.items()]}
