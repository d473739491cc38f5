"""Explanation of a text: which patterns it is made of, each with its slots, and what stands in the slots again.

Longest pattern first; a whole stretch before a place inside it; what lies between is explained in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tracediff.discover.pattern import Found, Pattern, Region

Owner = TypeVar("Owner")

MIN_WORDS = 3
"""A pattern with fewer words explains a whole text only, and only one that its own module sends."""
MIN_INSIDE = 4
"""Words in a row that a pattern with slots needs to be found in the middle of a text."""
_MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Entry(Generic[Owner]):
    """A pattern that may explain, and whose it is."""

    pattern: Pattern
    owner: Owner
    module: str = ""
    """Where its text stands. A pattern of a few words explains what this module's functions send."""
    sites: frozenset[str] = frozenset()
    """Functions that sent it before; it explains what they send, too."""


@dataclass(frozen=True, slots=True)
class Match(Generic[Owner]):
    """One pattern in a text, with what explains the stretches between its literals."""

    entry: Entry[Owner]
    found: Found
    inner: tuple[Match[Owner], ...] = field(default=())
    """In text order."""


def walk(matches: Sequence[Match[Owner]]) -> Iterator[Match[Owner]]:
    """Yield every match, what stands in a slot before what it stands in."""
    for match in matches:
        yield from walk(match.inner)
        yield match


class Explainer(Generic[Owner]):
    """Explains texts by a fixed set of patterns."""

    def __init__(self, entries: Sequence[Entry[Owner]]) -> None:
        order = sorted(enumerate(entries), key=lambda item: (-item[1].pattern.chars, item[0]))
        self._entries = [entry for _, entry in order]

    def explain(self, text: str, site: str = "") -> tuple[Match[Owner], ...]:
        """Return the matches of a text in text order; ``site`` is the user's function that sends it."""
        region = Region(text, 0, len(text))
        usable: list[Entry[Owner]] = []
        for entry in self._entries:
            pattern = entry.pattern
            if pattern.longest not in region.flat:
                continue
            if pattern.words >= MIN_WORDS:
                usable.append(entry)
            elif _is_from(entry, site) and (whole := region.whole(pattern)) is not None:
                return (_with_inner(text, entry, whole, usable, 0),)
        return tuple(_explained(text, 0, len(text), usable, 0)) if usable else ()


def _is_from(entry: Entry[Owner], site: str) -> bool:
    return site in entry.sites or bool(entry.module and site.startswith(entry.module + "."))


def _explained(text: str, start: int, end: int, entries: Sequence[Entry[Owner]], depth: int) -> Iterator[Match[Owner]]:
    region = Region(text, start, end)
    if depth > _MAX_DEPTH or not region.flat:
        return
    for position, entry in enumerate(entries):
        if entry.pattern.longest not in region.flat:
            continue
        whole = region.whole(entry.pattern)
        if whole is not None:
            yield _with_inner(text, entry, whole, entries[position + 1 :], depth)
            return
        if not _stands_inside(entry):
            continue
        places = list(region.inside(entry.pattern))
        if not places:
            continue
        at = start
        for place in places:
            yield from _explained(text, at, place.start, entries[position + 1 :], depth + 1)
            yield _with_inner(text, entry, place, entries[position + 1 :], depth)
            at = place.end
        yield from _explained(text, at, end, entries[position + 1 :], depth + 1)
        return


def _stands_inside(entry: Entry[Owner]) -> bool:
    pattern = entry.pattern
    if not pattern.is_closed:
        return False
    return pattern.longest_words >= (MIN_INSIDE if pattern.slots else MIN_WORDS)


def _with_inner(
    text: str, entry: Entry[Owner], found: Found, entries: Sequence[Entry[Owner]], depth: int
) -> Match[Owner]:
    inner = [m for _, _, (a, b) in found.gaps for m in _explained(text, a, b, entries, depth + 1)]
    return Match(entry, found, tuple(inner))
