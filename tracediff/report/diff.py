"""What an optimization changed in the prompts, line by line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping


def unified(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return a unified diff of every prompt that differs, by name; empty when none does."""
    return "".join(line + "\n" for line in _lines(before, after))


def _lines(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            yield from difflib.unified_diff(
                old.splitlines(), new.splitlines(), f"{name} (before)", f"{name} (after)", lineterm="", n=1_000
            )
