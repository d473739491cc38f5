"""Seed and extend: which stretches of a text stand in earlier texts."""

from __future__ import annotations

import re
from typing import NamedTuple

from tracediff.graph.lines import Line, Lines, stands_alone
from tracediff.graph.sources import Source, Sources
from tracediff.graph.words import SHINGLE, Text, unescaped

_STRIDE = 16
_WITHIN = 2.5
"""How much more evidence a stretch needs that does not stand on its own in the text."""
_GOES_ON = re.compile(r"[.:;!?]\s+|[\u3002\uff01\uff1a\uff1b\uff1f]\s*")
_FIELD = 1.5
"""How much more evidence a line or field of an output needs within a sentence."""
_OPENING = 2.0
"""How much more evidence it needs when more words follow on the line."""
_PHRASE = 6 * SHINGLE
"""Words from which on nobody writes the same by chance."""
_WIDE = r"\u3002\u300a-\u300f\uff01\uff08\uff09\uff1a\uff1b\uff1f"
"""Punctuation of scripts without spaces."""
_EDGE = re.compile(rf"[\n:=\"'`()\[\]{{}}<>|*.!?;\u2026\u2013\u2014\u201c\u201d#{_WIDE}-]")


class Match(NamedTuple):
    """Words ``start`` to ``end`` of the explained text stand in ``source`` from its word ``at`` on."""

    start: int
    end: int
    source: Source
    at: int
    is_full: bool
    """The match is the whole source."""

    @property
    def length(self) -> int:
        """Words matched."""
        return self.end - self.start


def cover(sources: Sources, text: Text, lines: Lines | None = None) -> list[Match]:
    """Return the stretches of a text that stand in earlier texts, disjoint, in text order.

    Longest first; ties go to the verbatim, the full, the real (not from outside), the better covered and the
    latest source. What lies inside a stretch already explained is dropped: this also removes
    ancestors whose text came through a nearer call. ``lines`` are those that inputs had before.
    """
    found = _stretches(sources, text.numbers)
    found.sort(key=lambda stretch: stretch.start - stretch.end)
    cut = _Cut(sources, text, lines)
    matches: list[Match] = []
    for stretch in found:
        free = _free(stretch.start, stretch.end, matches)
        match = cut.choose(stretch, *free) if free is not None and free[1] - free[0] >= SHINGLE else None
        if match is not None:
            matches.append(match)
    matches.sort()
    return matches


class _Stretch(NamedTuple):
    """Words that stand in earlier texts, and in which places."""

    start: int
    end: int
    places: list[int]


def _stretches(sources: Sources, numbers: list[int]) -> list[_Stretch]:
    """Return the maximal matches, left to right."""
    found: list[_Stretch] = []
    position = 0
    for hit, seed in sources.seeds(numbers):
        if hit < position:
            continue
        best = _Stretch(hit, hit, [])
        for place in sources.places(seed, numbers[hit : hit + SHINGLE]):
            source, at = sources.at(place)
            start, end = _extend(numbers, hit, sources.numbers(source), at)
            if end - start < best.end - best.start:
                continue
            if not _is_from(source, sources, at - hit + start, end - start):
                continue
            if end - start > best.end - best.start:
                best = _Stretch(start, end, [place - hit + start])
            elif start == best.start:
                best.places.append(place - hit + start)
        if best.places:
            found.append(best)
            position = max(best.end - SHINGLE + 1, hit + 1)
    return found


def _is_from(source: Source, sources: Sources, at: int, length: int) -> bool:
    """Return whether this stretch can come from the source: of a prompt, only with text of its own."""
    if source.literals is None or length == len(sources.numbers(source)):
        return True
    return source.own_words(at, at + length) >= SHINGLE


def _extend(numbers: list[int], position: int, others: list[int], at: int) -> tuple[int, int]:
    """Return the maximal stretch around a seed that both sequences share."""
    shift = at - position
    first, limit = max(0, -shift), min(len(numbers), len(others) - shift)
    start, end = position, position + SHINGLE
    step = _STRIDE
    while end < limit:
        after = min(end + step, limit)
        if numbers[end:after] == others[end + shift : after + shift]:
            end = after
        elif step == 1:
            break
        else:
            step = 1
    while start > first and numbers[start - 1] == others[start - 1 + shift]:
        start -= 1
    return start, end


def _free(begin: int, end: int, taken: list[Match]) -> tuple[int, int] | None:
    """Return what of a stretch is not yet explained: None if it lies inside, the longest rest otherwise."""
    rests = [(begin, end)]
    for match in taken:
        if match.start < end and begin < match.end:
            cut = [((low, min(high, match.start)), (max(low, match.end), high)) for low, high in rests]
            rests = [rest for pair in cut for rest in pair if rest[0] < rest[1]]
    if len(rests) < 2:
        return rests[0] if rests else None
    return max(rests, key=lambda rest: rest[1] - rest[0])


class _Cut:
    """Chooses the source of each stretch of one text."""

    def __init__(self, sources: Sources, text: Text, lines: Lines | None) -> None:
        self.sources = sources
        self.text = text
        self.lines = lines

    def choose(self, stretch: _Stretch, start: int, end: int) -> Match | None:
        """Return the best source of the part of a stretch that is still free, or None when the evidence is thin."""
        match = self._best(stretch, stretch.places, start, end)
        if match is None or self.lines is None or match.length >= _PHRASE:
            return match
        kept = self._earlier(self.lines, stretch.places, start - stretch.start, start, end)
        if len(kept) == len(stretch.places):
            return match
        return self._best(stretch, kept, start, end) if kept else None

    def _best(self, stretch: _Stretch, places: list[int], start: int, end: int) -> Match | None:
        """Return the best of some places, or None when the evidence is thin."""
        length, shift = end - start, start - stretch.start
        best = places[0] if len(places) == 1 else max(places, key=lambda place: self._rank(place + shift, length))
        source, at = self.sources.at(best + shift)
        match = Match(start, end, source, at, length == len(self.sources.numbers(source)))
        return match if (self._is_value(match) if match.is_full else self._is_evident(match)) else None

    def _earlier(self, lines: Lines, places: list[int], shift: int, start: int, end: int) -> list[int]:
        """Return the places that can explain words of a line: not those that only restate what an input had before."""
        kept: list[int] = []
        line: Line | None = None
        for place in places:
            source, at = self.sources.at(place + shift)
            if source.holders and source.holders[0].since > lines.first:
                line = line or lines.at(self.text, start, end)
                if line.since < source.holders[0].since and not (line.is_all and stands_alone(source, at, end - start)):
                    continue
            kept.append(place)
        return kept

    def _rank(self, place: int, length: int) -> tuple[bool, bool, bool, float, int]:
        """Return what speaks for a place, the strongest first."""
        source, at = self.sources.at(place)
        total = len(self.sources.numbers(source))
        is_verbatim = not source.holders or self._is_verbatim(source, at, length)
        return is_verbatim, length == total, bool(source.holders), length / total, place

    def _is_verbatim(self, source: Source, at: int, length: int) -> bool:
        places = source.spans()
        return unescaped(source.text)[places.starts[at] : places.ends[at + length - 1]] in self.text.plain

    def _is_value(self, match: Match) -> bool:
        """Return whether a whole source says enough: fewer than four words' worth of characters must stand apart."""
        if self.text.worth(match.start, match.end) >= SHINGLE or not match.source.holders:
            return True
        numbers = self.text.numbers[match.start : match.end]
        return self._apartness(match) is not None or self.sources.words.least(numbers) <= 1

    def _is_evident(self, match: Match) -> bool:
        """Return whether a partial match says enough: 9 bits and log2 of all words, more within a sentence."""
        length = self.text.worth(match.start, match.end)
        if length >= _PHRASE:
            return True
        words = self.sources.words
        needed = 9.0 + max(words.total, 1).bit_length()
        found = words.bits(self.text.numbers[match.start : match.end]) * length / match.length
        if found < needed or not match.source.holders:
            return found >= needed
        apart = self._apartness(match)
        if apart is None and stands_alone(match.source, match.at, match.length):
            apart = _FIELD
        if apart is None and length < 2 * SHINGLE:
            return False
        return found >= needed * (apart or _WITHIN)

    def _apartness(self, match: Match) -> float | None:
        """Return how much evidence a stretch needs by how it stands in the text; None within a sentence.

        A value in a template stands on its own: it ends at a line edge, a quote or a colon before it, or is cut in a
        word. A phrase that many writers open with ends in punctuation too, but their own words follow on the line:
        where both texts begin with it and go on, up to a dozen words are no evidence.
        """
        text = self.text.plain
        starts, ends = self.text.spans()
        start, end = match.start, match.end
        before = text[ends[start - 1] : starts[start]] if start else "\n"
        after = text[ends[end - 1] : starts[end]] if end < len(starts) else "\n"
        opens, closes = _EDGE.search(before) is not None, _EDGE.search(after) is not None
        if not opens and match.at > 0:
            whole = _word(match.source, match.at - 1)
            part = text[starts[start - 1] : ends[start - 1]]
            opens = whole.endswith(part) and part != whole
        if not closes and match.at + match.length < len(self.sources.numbers(match.source)):
            whole = _word(match.source, match.at + match.length)
            part = text[starts[end] : ends[end]]
            closes = whole.startswith(part) and part != whole
        if not (opens and closes):
            return None
        if "\n" in after or not _GOES_ON.fullmatch(after):
            return 1.0
        is_opening = match.at == 0 and not match.is_full
        return None if is_opening and match.length < 3 * SHINGLE else _OPENING


def _word(source: Source, index: int) -> str:
    """Return one word of a source as it is written."""
    places = source.spans()
    return unescaped(source.text)[places.starts[index] : places.ends[index]]
