"""Explanation of a text: which patterns it is made of, each with its slots, and what stands in the slots again.

Longest pattern first; a whole stretch before a place inside it; what lies between is explained in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Generic, NamedTuple, Protocol, TypeVar

from tracediff.discover.pattern import Found, Pattern, Region, Span, count_words

MIN_WORDS = 3
"""A pattern with fewer words explains a whole text only, and only one that its own module sends."""
MIN_INSIDE = 4
"""Words that a pattern with slots needs to be found in the middle of a text, ``MIN_WORDS`` of them in a row."""
_MAX_DEPTH = 8


class Named(Protocol):
    """Whose patterns explain."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...


Owner = TypeVar("Owner", bound=Named)


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
    within: frozenset[str] | None = None
    """Owners in whose slots a few words stand as a line of their own, "" for beside them; None for anywhere."""


@dataclass(frozen=True, slots=True)
class Match(Generic[Owner]):
    """One pattern in a text, with what explains the stretches between its literals."""

    entry: Entry[Owner]
    found: Found
    inner: tuple[Match[Owner], ...] = field(default=())
    """In text order."""
    is_line: bool = False
    """A few words at the beginning of a line."""


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

    def explain(self, text: str, site: str = "", modules: Iterable[str] = ()) -> tuple[Match[Owner], ...]:
        """Return the matches of a text in text order.

        ``site`` is the user's function that sends it, ``modules`` are those on the stack: what a pattern of a few words
        may stand in.
        """
        region = Region(text, 0, len(text))
        present = _present(region, self._entries)
        if not present:
            return ()
        near = frozenset(modules)
        few = [e for e in present if e.pattern.words < MIN_WORDS or not _is_firm(e.pattern)]
        few = [e for e in few if e.is_known or site in e.sites or _is_of(e.module, site) or e.module in near]
        usable = [e for e in present if e.pattern.words >= MIN_WORDS]
        fixed = [e.pattern for e in usable if not e.pattern.slots]
        work = _Explaining(Region(text, 0, len(text), fixed), few, is_edge=self._is_edge)
        return tuple(work.explained(_Stretch((0, len(text))), usable))


def _present(region: Region, entries: Sequence[Entry[Owner]]) -> list[Entry[Owner]]:
    """Return the entries whose pattern may stand in a stretch."""
    return list(compress(entries, region.may_have([entry.pattern for entry in entries])))


def _is_of(module: str, site: str) -> bool:
    return bool(module) and site.startswith(module + ".")


def _is_firm(pattern: Pattern) -> bool:
    """Tell whether a pattern that explains a whole stretch does so by more than chance."""
    open_edges = (not pattern.cores[0]) + (not pattern.cores[-1])
    return pattern.longest_words > open_edges


def _stands_inside(pattern: Pattern) -> bool:
    if not pattern.is_closed:
        return False
    return pattern.longest_words >= MIN_WORDS and (not pattern.slots or pattern.words >= MIN_INSIDE)


class _Stretch(NamedTuple):
    """A part of a text that is to be explained."""

    span: Span
    parent: str = ""
    """Whose slot it is; empty for none."""
    depth: int = 0
    begins: bool = True
    """Its left edge is that of a text or slot, not of another match."""
    ends: bool = True

    def part(self, start: int, end: int, *, begins: bool, ends: bool) -> _Stretch:
        """Return a stretch within it."""
        return _Stretch((start, end), self.parent, self.depth + 1, begins, ends)


class _Explaining(Generic[Owner]):
    """One text while it is explained."""

    def __init__(self, region: Region, few: list[Entry[Owner]], *, is_edge: bool) -> None:
        self.text = region.raw
        self.all = region
        self.few = few
        """Patterns of a few words that are near."""
        self._are_few = set(map(id, few))
        self.is_edge = is_edge

    def explained(self, stretch: _Stretch, entries: Sequence[Entry[Owner]]) -> Iterator[Match[Owner]]:
        """Yield the matches in a stretch, in text order."""
        if stretch.depth > _MAX_DEPTH or not (entries or self.few):
            return
        region = self.all.part(*stretch.span)
        if region.is_blank:
            return
        present = _present(region, entries)
        wholes: list[tuple[Entry[Owner], Found]] = []
        sure = None
        for whole in self._wholes(region, present, stretch):
            wholes.append(whole)
            if not _is_repeated(whole[1]):
                sure = whole
                break
        if sure is not None:
            yield from self._whole(stretch, sure, present)
            return
        for position, entry in enumerate(present):
            places = list(region.inside(entry.pattern)) if _stands_inside(entry.pattern) else []
            if places:
                yield from self._around(stretch, entry, places, present[position + 1 :], is_edge=self.is_edge)
                return
        if wholes:
            yield from self._whole(stretch, wholes[0], present)
        else:
            yield from self._lines(region, stretch)

    def _whole(
        self, stretch: _Stretch, whole: tuple[Entry[Owner], Found], present: Sequence[Entry[Owner]]
    ) -> Iterator[Match[Owner]]:
        entry, found = whole
        rest = [other for other in present if other is not entry]
        return self._around(stretch, entry, [found], rest, is_edge=False)

    def _wholes(
        self, region: Region, present: Sequence[Entry[Owner]], stretch: _Stretch
    ) -> Iterator[tuple[Entry[Owner], Found]]:
        """Yield what explains a whole stretch, without the slots at edges of unknown place; longest first."""
        for entry in present:
            pattern = entry.pattern
            is_open = not (pattern.cores[0] or pattern.cores[-1])
            if not _is_firm(pattern) and (is_open or id(entry) not in self._are_few):
                continue
            found = region.whole(pattern)
            if found is None:
                continue
            is_sure = (stretch.begins or bool(pattern.cores[0])) and (stretch.ends or bool(pattern.cores[-1]))
            trimmed = None if is_sure else pattern.trimmed()
            if trimmed is None:
                yield entry, found
            else:
                yield replace(entry, pattern=trimmed), found.trimmed(trimmed, self.text)
        if region is not self.all:
            return
        for entry in self.few:
            pattern = entry.pattern
            if not (pattern.cores[0] or pattern.cores[-1]) or pattern.longest not in region.flat:
                continue
            if (found := region.whole(pattern)) is not None:
                yield entry, found

    def _around(
        self,
        stretch: _Stretch,
        entry: Entry[Owner],
        places: Sequence[Found],
        rest: Sequence[Entry[Owner]],
        *,
        is_edge: bool,
    ) -> Iterator[Match[Owner]]:
        """Yield a pattern at its places, and what explains the stretches between them."""
        at, begins = stretch.span[0], stretch.begins
        for place in places:
            yield from self.explained(stretch.part(at, place.start, begins=begins, ends=is_edge), rest)
            yield self._with_inner(entry, place, rest, stretch.depth)
            at, begins = place.end, is_edge
        yield from self.explained(stretch.part(at, stretch.span[1], begins=begins, ends=stretch.ends), rest)

    def _lines(self, region: Region, stretch: _Stretch) -> Iterator[Match[Owner]]:
        """Yield patterns of a few words where a line begins with one."""
        for entry in self.few:
            pattern = entry.pattern
            if (
                not pattern.is_closed
                or pattern.longest not in region.flat
                or not any(map(str.isalpha, pattern.longest))
            ):
                continue
            if entry.within is not None and stretch.parent not in entry.within:
                continue
            places = [found for found in region.inside(pattern) if _begins_a_line(self.text, found.start, region.start)]
            if not places:
                continue
            at = region.start
            for place in places:
                yield from self._lines(Region(self.text, at, place.start), stretch)
                yield replace(self._with_inner(entry, place, [], stretch.depth), is_line=True)
                at = place.end
            yield from self._lines(Region(self.text, at, region.end), stretch)
            return

    def _with_inner(
        self, entry: Entry[Owner], found: Found, entries: Sequence[Entry[Owner]], depth: int
    ) -> Match[Owner]:
        name = entry.owner.name
        inner = [m for _, _, gap in found.gaps for m in self.explained(_Stretch(gap, name, depth + 1), entries)]
        return Match(entry, found, tuple(inner))


def _is_repeated(found: Found) -> bool:
    """Tell whether a literal with words has several places: what stands there is rather the text again and again."""
    return any(
        span is None and count_words(core) > 1 for span, core in zip(found.spans, found.pattern.cores, strict=True)
    )


def _begins_a_line(text: str, at: int, floor: int) -> bool:
    """Tell whether nothing but space stands between a place and the beginning of its line or stretch."""
    line = max(text.rfind("\n", 0, at) + 1, floor)
    return not text[line:at].strip()
