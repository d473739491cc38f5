"""Short values: labels, numbers and names of up to three words, found only in delimited places."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from typing import NamedTuple

from tracediff.graph.calls import Call, leaves
from tracediff.graph.sources import SHINGLE, Piece, Sources

_SAMPLED = 8
_MARK = re.compile(r"(?:^|\n)[ \t]*[\[(]?$")
_AFTER_MARK = re.compile(r"[\])]?[.):\]]")


class Slot(NamedTuple):
    """A short value in a delimited place of an input."""

    key: tuple[int, ...]
    start: int
    """First word in the text."""
    line: str


class Constants:
    """Lines that stand in every call of a site: its template, not its data."""

    def __init__(self, calls: list[Call]) -> None:
        self._sites: dict[str, list[Call]] = {}
        for call in calls:
            self._sites.setdefault(call.record.name, []).append(call)
        self._lines: dict[tuple[str, str], frozenset[str]] = {}

    def has(self, call: Call, argument: str, line: str) -> bool:
        """Return whether the site was called more than once, each time with this line in this argument."""
        site = call.record.name
        lines = self._lines.get((site, argument))
        if lines is None:
            lines = self._lines[site, argument] = self._shared(self._sites.get(site, []), argument)
        return line in lines

    @staticmethod
    def _shared(calls: list[Call], argument: str) -> frozenset[str]:
        if len(calls) < 2:
            return frozenset()
        step = max(1, len(calls) // _SAMPLED)
        sampled = calls[::step]
        counts: Counter[str] = Counter()
        for call in sampled:
            lines = {
                line.strip()
                for _, leaf in leaves(call.record.inputs.get(argument), argument)
                for line in str(leaf).split("\n")
            }
            counts.update(lines)
        return frozenset(line for line, count in counts.items() if count == len(sampled))


def slots(
    sources: Sources, text: str, numbers: list[int], places: list[tuple[int, int]], free: list[bool]
) -> list[Slot]:
    """Return the known short values that stand delimited among the unexplained words of a text.

    ``places`` are the words' (start, end) in ``text``; ``free`` says which words nothing has explained yet.
    """
    found: list[Slot] = []
    position, limit = 0, len(numbers)
    while position < limit:
        if not free[position]:
            position += 1
            continue
        for size in range(min(SHINGLE - 1, limit - position), 0, -1):
            key = tuple(numbers[position : position + size])
            end = position + size
            if not all(free[position:end]) or not (key in sources.pieces or sources.parts(key)):
                continue
            if _is_delimited(text, places, free, position, end):
                found.append(Slot(key, position, _line(text, places[position][0])))
                position = end - 1
                break
        position += 1
    return found


def _is_delimited(text: str, places: list[tuple[int, int]], free: list[bool], start: int, end: int) -> bool:
    """Return whether the words stand between line edges, punctuation or explained text, and are no list mark."""
    low, high = places[start][0], places[end - 1][1]
    before = text[places[start - 1][1] if start else 0 : low]
    after = text[high : places[end][0] if end < len(places) else len(text)]
    if text[low:high].isdigit() and _MARK.search(text[max(0, low - 20) : low]) and _AFTER_MARK.match(after):
        return False
    opens = start == 0 or not before.isspace() or "\n" in before or not free[start - 1]
    closes = end == len(places) or not after.isspace() or "\n" in after or not free[end]
    return opens and closes


def _line(text: str, at: int) -> str:
    end = text.find("\n", at)
    return text[text.rfind("\n", 0, at) + 1 : end if end >= 0 else len(text)].strip()


def pick(pieces: list[Piece], used: list[int], first_after: int = -1) -> Piece | None:
    """Return the latest piece whose call explains no equal value of this consumer yet."""
    best: Piece | None = None
    for piece in reversed(pieces):
        if piece.holder.call <= first_after:
            break
        if piece.holder.call not in used:
            best = piece
            break
    return best


def after(pieces: list[Piece], since: int) -> list[Piece]:
    """Return the pieces known after a sequence number."""
    return pieces[bisect_left(pieces, since, key=lambda piece: piece.holder.since) :]
