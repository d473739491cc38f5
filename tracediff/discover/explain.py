"""Explanation of a text: which patterns it is made of, each with its slots, and what stands in the slots again.

Longest pattern first; a whole stretch before a place inside it; what lies between is explained in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from tracediff.discover.pattern import Found, Pattern, Region, Span

Owner = TypeVar("Owner")

MIN_WORDS = 3
"""A pattern with fewer words explains a whole text only, and only one that its own module sends."""
MIN_INSIDE = 4
"""Words that a pattern with slots needs to be found in the middle of a text, ``MIN_WORDS`` of them in a row."""
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
    is_known: bool = False
    """It is a template for certain: a pattern of a few words explains a whole text, whoever sends it."""


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

    def __init__(self, entries: Sequence[Entry[Owner]], *, is_strict: bool = False) -> None:
        """Take the patterns; ``is_strict`` wants a slot at a pattern's edge to reach to the edge of a text or slot.

        Beside another match nobody knows what stands in such a slot: its value, or what another text put out.
        """
        order = sorted(enumerate(entries), key=lambda item: (-item[1].pattern.chars, item[0]))
        self._entries = [entry for _, entry in order]
        self._is_edge = not is_strict
        """Whether a slot may reach to where another match begins or ends."""

    def explain(self, text: str, site: str = "") -> tuple[Match[Owner], ...]:
        """Return the matches of a text in text order; ``site`` is the user's function that sends it."""
        region = Region(text, 0, len(text))
        usable: list[Entry[Owner]] = []
        short: tuple[Entry[Owner], Found] | None = None
        for entry in self._entries:
            pattern = entry.pattern
            if pattern.longest not in region.flat:
                continue
            if pattern.words >= MIN_WORDS:
                usable.append(entry)
            elif short is None and _is_from(entry, site) and (whole := region.whole(pattern)) is not None:
                short = entry, whole
        if short is not None and not any(region.whole(entry.pattern) for entry in usable):
            return (self._with_inner(text, *short, usable, 0),)
        return tuple(self._explained(text, (0, len(text)), usable, 0)) if usable else ()

    def _explained(
        self,
        text: str,
        span: Span,
        entries: Sequence[Entry[Owner]],
        depth: int,
        *,
        begins: bool = True,
        ends: bool = True,
    ) -> Iterator[Match[Owner]]:
        """Yield the matches in a span; ``begins`` and ``ends`` tell whether its edges are those of a text or slot."""
        region = Region(text, *span)
        if depth > _MAX_DEPTH or not region.flat:
            return
        for position, entry in enumerate(entries):
            pattern = entry.pattern
            if pattern.longest not in region.flat:
                continue
            whole = region.whole(pattern)
            if whole is not None:
                rest = entries[position + 1 :]
                is_sure = (begins or bool(pattern.cores[0])) and (ends or bool(pattern.cores[-1]))
                trimmed = None if is_sure else pattern.trimmed()
                if trimmed is None:
                    yield self._with_inner(text, entry, whole, rest, depth)
                    return
                inner = whole.trimmed(trimmed, text)
                yield from self._explained(text, (span[0], inner.start), rest, depth + 1, begins=begins, ends=False)
                yield self._with_inner(text, replace(entry, pattern=trimmed), inner, rest, depth)
                yield from self._explained(text, (inner.end, span[1]), rest, depth + 1, begins=False, ends=ends)
                return
            places = list(region.inside(pattern)) if _stands_inside(entry) else ()
            if not places:
                continue
            rest = entries[position + 1 :]
            at = span[0]
            for place in places:
                yield from self._explained(text, (at, place.start), rest, depth + 1, begins=begins, ends=self._is_edge)
                yield self._with_inner(text, entry, place, rest, depth)
                at, begins = place.end, self._is_edge
            yield from self._explained(text, (at, span[1]), rest, depth + 1, begins=begins, ends=ends)
            return

    def _with_inner(
        self, text: str, entry: Entry[Owner], found: Found, entries: Sequence[Entry[Owner]], depth: int
    ) -> Match[Owner]:
        inner = [m for _, _, gap in found.gaps for m in self._explained(text, gap, entries, depth + 1)]
        return Match(entry, found, tuple(inner))


def _is_from(entry: Entry[Owner], site: str) -> bool:
    return entry.is_known or site in entry.sites or bool(entry.module and site.startswith(entry.module + "."))


def _stands_inside(entry: Entry[Owner]) -> bool:
    pattern = entry.pattern
    if not pattern.is_closed:
        return False
    return pattern.longest_words >= MIN_WORDS and (not pattern.slots or pattern.words >= MIN_INSIDE)
