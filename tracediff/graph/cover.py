"""Seed and extend: which stretches of a text stand in earlier texts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tracediff.graph.sources import SHINGLE, Source, Sources
from tracediff.graph.words import spans, unescaped

_STRIDE = 16
_WITHIN = 2.5
"""How much more evidence a stretch needs that does not stand on its own in the text."""
_EDGE = re.compile(r"[\n:=\"'`()\[\]{}<>|*.!?;…–—“”#-]")


@dataclass(frozen=True, slots=True)
class Match:
    """Words ``start`` to ``end`` of the explained text stand in ``source`` from its word ``at`` on."""

    start: int
    end: int
    source: Source
    at: int
    is_full: bool
    """The match is the whole source."""
    is_verbatim: bool
    rejected: str = ""
    """What else could have explained it, for ``explain``."""

    @property
    def length(self) -> int:
        """Words matched."""
        return self.end - self.start


def cover(sources: Sources, text: str, numbers: list[int]) -> list[Match]:
    """Return the stretches of ``text`` that stand in earlier texts, disjoint, in text order.

    Longest first; ties go to the verbatim, the full, the real (not from outside), the better covered and the
    latest source. What lies inside a stretch already explained is dropped: this also removes
    ancestors whose text came through a nearer call.
    """
    found = _stretches(sources, numbers)
    if not found:
        return []
    found.sort(key=lambda stretch: (stretch[0] - stretch[1], stretch[0]))
    taken: list[tuple[int, int]] = []
    matches: list[Match] = []
    for begin, end, places in found:
        free = _free(begin, end, taken)
        if free is None:
            continue
        start, stop = free
        match = _choose(sources, text, numbers, start, stop, begin, places)
        if match is not None:
            taken.append(free)
            matches.append(match)
    matches.sort(key=lambda match: match.start)
    return matches


def _stretches(sources: Sources, numbers: list[int]) -> list[tuple[int, int, list[int]]]:
    """Return (start, end, places in the stream) of maximal matches, left to right."""
    stream = sources.stream
    found: list[tuple[int, int, list[int]]] = []
    position = 0
    for hit, seeds in sources.seeds(numbers):
        if hit < position:
            continue
        best: tuple[int, int] | None = None
        places: list[int] = []
        for place in seeds:
            start, end = _extend(numbers, hit, stream, place)
            if end == start or not _is_from(sources.at(place), sources, place - hit + start, end - start):
                continue
            if best is None or end - start > best[1] - best[0]:
                best, places = (start, end), [place - hit + start]
            elif (start, end) == best:
                places.append(place - hit + start)
        if best is None:
            continue
        found.append((*best, places))
        position = max(best[1] - SHINGLE + 1, hit + 1)
    return found


def _is_from(source: Source, sources: Sources, place: int, length: int) -> bool:
    """Return whether this stretch can come from the source: of a prompt, only with text of its own."""
    if source.literals is None or length == len(sources.numbers(source)):
        return True
    at = place - source.start
    return source.own_words(at, at + length) >= SHINGLE


def _extend(numbers: list[int], position: int, stream: list[int], place: int) -> tuple[int, int]:
    """Return the maximal stretch around a seed that both sequences share."""
    limit = len(numbers)
    if numbers[position : position + SHINGLE] != stream[place : place + SHINGLE]:
        return position, position
    i, j = position + SHINGLE, place + SHINGLE
    while i < limit and numbers[i : i + _STRIDE] == stream[j : j + _STRIDE]:
        i += _STRIDE
        j += _STRIDE
    i = min(i, limit)
    j = place + i - position
    while i < limit and numbers[i] == stream[j]:
        i += 1
        j += 1
    start, back = position, place
    while start > 0 and back > 0 and numbers[start - 1] == stream[back - 1]:
        start -= 1
        back -= 1
    return start, i


def _free(begin: int, end: int, taken: list[tuple[int, int]]) -> tuple[int, int] | None:
    """Return what of a stretch is not yet explained: None if it lies inside, the longest rest otherwise."""
    rests = [(begin, end)]
    for start, stop in taken:
        rests = (
            [
                rest
                for low, high in rests
                for rest in ((low, min(high, start)), (max(low, stop), high))
                if rest[0] < rest[1]
            ]
            if any(low < stop and start < high for low, high in rests)
            else rests
        )
    return max(rests, key=lambda rest: rest[1] - rest[0]) if rests else None


def _choose(
    sources: Sources, text: str, numbers: list[int], start: int, stop: int, begin: int, places: list[int]
) -> Match | None:
    """Return the best source of one stretch, or None when the evidence is too thin."""
    length = stop - start
    best: tuple[tuple[bool, bool, bool, float, int], Match] | None = None
    plain: str | None = None
    names: list[Source] = []
    for place in places:
        at = place + start - begin
        source = sources.at(at)
        total = len(sources.numbers(source))
        is_full = length == total
        is_verbatim = False
        if len(places) > 1:
            plain = plain if plain is not None else unescaped(text)
            is_verbatim = _fragment(source, at - source.start, length) in plain
        rank = (is_verbatim, is_full, bool(source.holders), length / total, at)
        names.append(source)
        if best is None or rank > best[0]:
            best = rank, Match(start, stop, source, at - source.start, is_full, is_verbatim)
    assert best is not None
    match = best[1]
    if match.is_full and length >= SHINGLE:
        return match
    if length < SHINGLE:
        return None
    needed = 9 + _log2(sources.words.total)
    if match.source.holders and length < 6 * SHINGLE and not _is_set_apart(text, numbers, match):
        needed *= _WITHIN
        if length < 2 * SHINGLE:
            return None
    return match if sources.words.bits(numbers[start:stop]) >= needed else None


def _is_set_apart(text: str, numbers: list[int], match: Match) -> bool:
    """Return whether a stretch stands on its own in the text, as a value in a template does.

    A stock phrase that two writers share goes on with different words; a value ends at a line edge, a colon, a
    quote or the end of a sentence, or is cut within a word.
    """
    plain = unescaped(text)
    starts, ends = spans(plain)
    start, end = match.start, match.end
    before = plain[ends[start - 1] if start else 0 : starts[start]]
    after = plain[ends[end - 1] : starts[end] if end < len(numbers) else len(plain)]
    opens = start == 0 or _EDGE.search(before) is not None
    closes = end == len(numbers) or _EDGE.search(after) is not None
    source, at = match.source, match.at
    theirs, text = source.spans(), unescaped(source.text)
    if not closes and at + match.length < len(theirs.starts):
        word = plain[starts[end] : ends[end]]
        other = text[theirs.starts[at + match.length] : theirs.ends[at + match.length]]
        closes = other.startswith(word) and len(word) < len(other)
    if not opens and at > 0:
        word = plain[starts[start - 1] : ends[start - 1]]
        other = text[theirs.starts[at - 1] : theirs.ends[at - 1]]
        opens = other.endswith(word) and len(word) < len(other)
    return opens and closes


def _fragment(source: Source, at: int, length: int) -> str:
    spans = source.spans()
    return unescaped(source.text)[spans.starts[at] : spans.ends[at + length - 1]]


def _log2(number: int) -> int:
    return max(number, 1).bit_length()
