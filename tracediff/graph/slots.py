"""Short values: labels, numbers and names of up to three words, found only in delimited places."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from tracediff.graph.calls import Call, leaves
from tracediff.graph.findings import Covered
from tracediff.graph.sources import Sources
from tracediff.graph.words import SHINGLE, Text

_SAMPLED = 8
_FRAME = 5
"""Characters before a number by which another of its kind is known."""
_NEAR = 2000
_MARK = re.compile(r"(?:^|\n)[ \t]*[\[(]?$")
_AFTER_MARK = re.compile(r"[\])]?[.):\]]")


class Slot(NamedTuple):
    """A short value in an input, where it may stand for an earlier output."""

    key: tuple[int, ...]
    start: int
    """First word in the text."""
    value: str
    """It as it is written."""
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


def slots(sources: Sources, covered: Covered) -> list[Slot]:
    """Return the known short values among the words of a text that nothing has explained yet, in text order."""
    if not sources.longest():
        return []
    names, words = sources.names, covered.text
    known = {start: end for start, end, key in covered.values if sources.is_value(key)}
    if not sources.joined.keys().isdisjoint(words.numbers):
        known.update(_joined(sources, covered))
    limits: dict[int, int] = {}
    if not names.keys().isdisjoint(words.numbers):
        limits = {i: end for start, end in covered.gaps for i in range(start, end) if words.numbers[i] in names}
        known.update(_row(sources, covered, limits))
    found: list[Slot] = []
    done = 0
    for position in sorted({*known, *limits}):
        if position < done:
            continue
        end = known.get(position, 0)
        if (slot := _named(sources, words, position, end, limits.get(position, 0))) is not None:
            found.append(slot)
            done = slot.end
        elif end and not _is_mark(words, position, end):
            found.append(_slot(words, position, end, is_delimited=True))
            done = end
    return found


def _joined(sources: Sources, covered: Covered) -> Iterator[tuple[int, int]]:
    """Return (start, end) of known values with punctuation within, which stand between further punctuation."""
    joined, numbers = sources.joined, covered.text.numbers
    last = len(numbers)
    starts = {start for start in covered.text.stretches().ends if start < last and numbers[start] in joined}
    starts.update(start for start, _ in covered.gaps if numbers[start] in joined)
    if not starts:
        return
    limits = covered.limits()
    for start in starts:
        keys = (key for key in joined[numbers[start]] if start + len(key) in limits)
        ends = [start + len(key) for key in keys if tuple(numbers[start : start + len(key)]) == key]
        whole = [end for end in ends if covered.is_open(start, end) and sources.is_value(tuple(numbers[start:end]))]
        if whole:
            yield start, max(whole)


def _row(sources: Sources, covered: Covered, limits: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Return (start, end) of one-word outputs that fill a stretch between punctuation, with only blanks between."""
    starts = [i for i in limits if (covered.text.numbers[i],) in sources.pieces]
    if len(starts) < SHINGLE:
        return
    single = set(starts)
    for start, end in pairwise(sorted(covered.limits())):
        if end - start >= SHINGLE and single.issuperset(range(start, end)):
            yield from ((i, i + 1) for i in range(start, end))


def _named(sources: Sources, words: Text, start: int, end: int, limit: int) -> Slot | None:
    """Return a new name that begins here within a sentence, longer than the delimited value up to ``end``."""
    numbers = words.numbers
    for stop in range(min(start + sources.names.get(numbers[start], 0), limit), max(start, end), -1):
        whole = sources.pieces.get(tuple(numbers[start:stop]))
        if whole is not None and whole[0].is_new and _is_name(words.words(start, stop)):
            return _slot(words, start, stop, is_delimited=False)
    return None


def _slot(words: Text, start: int, end: int, *, is_delimited: bool) -> Slot:
    text, (low, high) = words.plain, words.place(start, end)
    line = _line(text, low)
    is_all = line.strip(" .,!?'\"`-*") == text[low:high]
    is_apart = is_delimited and not text[high : high + 2].startswith(", ")
    key, is_key = tuple(words.numbers[start:end]), _is_key(text, high)
    return Slot(key, start, text[low:high], line, is_all, is_delimited, is_apart, is_key)


def _is_mark(words: Text, start: int, end: int) -> bool:
    """Return whether a number only counts the lines of a list, or the items that are written alike."""
    text, (low, high) = words.plain, words.place(start, end)
    if not text[low:high].isdigit():
        return False
    if _is_counter(text, low):
        return True
    if not _MARK.search(text[max(0, low - 20) : low]):
        return False
    return (
        _AFTER_MARK.match(text[high : words.spans().starts[end] if end < len(words.numbers) else len(text)]) is not None
    )


def _is_counter(text: str, low: int) -> bool:
    """Return whether all numbers after the same few characters as here rise by one, from 0 or 1."""
    before = text[text.rfind("\n", 0, low) + 1 : low][-_FRAME:]
    if not before.strip():
        return False
    near = text[max(0, low - _NEAR) : low + _NEAR]
    found = [int(number) for number in re.findall(rf"{re.escape(before)}(\d{{1,6}})\b", near)]
    is_rising = len(found) > 1 and found == list(range(found[0], found[0] + len(found)))
    return is_rising and (found[0] < 2 or len(found) > 3)


def _is_key(text: str, end: int) -> bool:
    return text[end : end + 4].lstrip("\"'` *").startswith(":")


def _is_name(value: str) -> bool:
    """Return whether the words look like a name or number that a sentence was filled with."""
    return value.isdigit() if len(value) == 2 else len(value) >= 3


def _line(text: str, at: int) -> str:
    end = text.find("\n", at)
    return text[text.rfind("\n", 0, at) + 1 : end if end >= 0 else len(text)].strip()
