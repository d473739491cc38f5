"""Short values: labels, numbers and names of up to three words, found only in delimited places."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from tracediff.graph.calls import Call, leaves
from tracediff.graph.sources import Sources
from tracediff.graph.words import Spans, Text

_SAMPLED = 8
_MARK = re.compile(r"(?:^|\n)[ \t]*[\[(]?$")
_AFTER_MARK = re.compile(r"[\])]?[.):\]]")


class Slot(NamedTuple):
    """A short value in an input, where it may stand for an earlier output."""

    key: tuple[int, ...]
    start: int
    """First word in the text."""
    line: str
    is_all: bool
    """The value is the whole line."""
    is_delimited: bool
    """Line edges, punctuation or explained text on both sides; else it is a name within a sentence."""
    is_apart: bool
    """Delimited, and not by a comma or a space: not the beginning of a sentence that two writers share."""
    is_key: bool
    """A colon follows: more likely a name of a field than a value."""

    @property
    def end(self) -> int:
        """The word after it."""
        return self.start + len(self.key)


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

    def first(self, call: Call) -> Call:
        """Return the first call of the same site."""
        return self._sites[call.record.name][0]

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


def slots(sources: Sources, words: Text, gaps: list[tuple[int, int]]) -> list[Slot]:
    """Return the known short values among the words of a text that nothing has explained yet, in text order."""
    numbers = words.numbers
    sizes = sources.starters()
    if sizes.keys().isdisjoint(numbers):
        return []
    found: list[Slot] = []
    limit, done = len(numbers), 0
    text, places, free = words.plain, words.spans(), [False] * limit
    for start, end in gaps:
        free[start:end] = [True] * (end - start)
    for position in [i for start, end in gaps for i in range(start, end) if numbers[i] in sizes]:
        opens = position >= done and _opens(text, places, free, position)
        if position < done or not (opens or numbers[position] in sources.names):
            continue
        for size in range(min(sizes[numbers[position]], limit - position), 0, -1):
            key = tuple(numbers[position : position + size])
            end = position + size
            whole = sources.pieces.get(key)
            if (whole is None and not sources.parts(key)) or not all(free[position:end]):
                continue
            is_delimited = opens and _closes(text, places, free, position, end)
            low, high = places.starts[position], places.ends[end - 1]
            value = text[low:high]
            if is_delimited or (whole is not None and whole[-1].is_new and _is_name(value)):
                line = _line(text, low)
                is_all = line.strip(" .,!?'\"`-*") == value
                is_apart = is_delimited and not text[high : high + 2].startswith(", ")
                found.append(Slot(key, position, line, is_all, is_delimited, is_apart, _is_key(text, high)))
                done = end
                break
    return found


def _opens(text: str, places: Spans, free: list[bool], start: int) -> bool:
    """Return whether a word stands after a line edge, punctuation or explained text."""
    if not start or not free[start - 1]:
        return True
    before = text[places.ends[start - 1] : places.starts[start]]
    return before != " " and (not before.isspace() or "\n" in before)


def _closes(text: str, places: Spans, free: list[bool], start: int, end: int) -> bool:
    """Return whether the words stand before a line edge, punctuation or explained text, and are no mark."""
    low, high = places.starts[start], places.ends[end - 1]
    after = text[high : places.starts[end] if end < len(free) else len(text)]
    if text[low:high].isdigit() and _MARK.search(text[max(0, low - 20) : low]) and _AFTER_MARK.match(after):
        return False
    return end == len(free) or not after.isspace() or "\n" in after or not free[end]


def _is_key(text: str, end: int) -> bool:
    return text[end : end + 4].lstrip("\"'` *").startswith(":")


def _is_name(value: str) -> bool:
    """Return whether the words look like a name or number that a sentence was filled with."""
    return len(value) >= 3 and (value[0].isupper() or any(map(str.isdigit, value)))


def _line(text: str, at: int) -> str:
    end = text.find("\n", at)
    return text[text.rfind("\n", 0, at) + 1 : end if end >= 0 else len(text)].strip()
