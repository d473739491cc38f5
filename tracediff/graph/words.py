"""Texts as casefolded word tokens: the units in which text is compared."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, chain, compress, count, pairwise
from operator import add, itemgetter, sub
from typing import NamedTuple

SHINGLE = 4
"""Words that a partial match needs at least; shorter values count only in delimited places."""
# Word characters in lower case, all else a space: three times as fast as a regular expression.
_ASCII = "".join(chr(i).lower() if chr(i).isalnum() or chr(i) == "_" else " " for i in range(128))
# Scripts without spaces between words: each character is a word.
_CHARACTER = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f"
_CHARACTERS = re.compile(rf"[{_CHARACTER}]")
_WIDE_WORD = re.compile(rf"[{_CHARACTER}]|[^\W{_CHARACTER}]+")
# Word characters as they are, blanks but the line break as a space, all else as a line break.
_STRETCHES = "".join(
    chr(i) if chr(i).isalnum() or chr(i) == "_" else " " if chr(i).isspace() and chr(i) != "\n" else "\n"
    for i in range(128)
)
_BETWEEN = re.compile(r"[^\w\s]|\n")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}


def unescaped(text: str) -> str:
    """Return ``text`` with JSON and Python string escapes undone, so that dumped text has its words again."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_unescape, text)


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return _CONTROL.get(match[2], match[2])


class Vocabulary:
    """Word -> number of its casefolded form; new words get the next number."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._counts: Counter[int] = Counter()
        self._pending: list[list[int]] = []
        self._total = self._done = 0

    def numbers(self, text: str) -> list[int]:
        """Return the numbers of the words of an (unescaped) text, in order."""
        if text.isascii():
            return self._numbered(text.translate(_ASCII).split())
        folded = text.casefold()
        if len(folded) == len(text):  # letter by letter: the words stay where they are
            return self._numbered(_WIDE_WORD.findall(folded))
        return self._numbered(list(map(str.casefold, _WIDE_WORD.findall(text))))

    def _numbered(self, words: list[str]) -> list[int]:
        if len(words) > 1:
            return list(itemgetter(*words)(self._numbers))  # a fifth faster than a map
        return [self._numbers[word] for word in words]

    @property
    def size(self) -> int:
        """Distinct words so far; a word with this number or a higher one is new."""
        return len(self._numbers)

    def count(self, numbers: list[int]) -> None:
        """Count the words of a source for ``bits``."""
        self._total += len(numbers)
        self._pending.append(numbers)

    @property
    def total(self) -> int:
        """Words counted so far."""
        return self._total

    def _counted(self, missing: int = 0) -> Counter[int]:
        """Return the counts; so many words may be missing in them: many at once are counted faster."""
        if self._total - self._done > missing:
            self._counts.update(chain.from_iterable(self._pending))
            self._pending.clear()
            self._done = self._total
        return self._counts

    def rare(self, numbers: Iterable[int], limit: int) -> list[int]:
        """Return the distinct words among these that sources hold, but not more often than ``limit`` times."""
        counts = self._counted(self._total >> 6)
        return [number for number in dict.fromkeys(numbers) if 0 < counts[number] <= limit]

    def least(self, numbers: Iterable[int]) -> int:
        """Return how often, about, the rarest of these words stands in sources."""
        counts = self._counted(self._total >> 6)
        return min(counts[number] for number in numbers)

    def bits(self, numbers: list[int]) -> float:
        """Return how surprising this sequence is: the sum of -log2 of each word's share of all sources."""
        counts = self._counted(self._total >> 6)
        limit = math.log2(self._total + 1)
        return sum(limit - math.log2(counts[number] or 1) for number in numbers)


class Stretches(NamedTuple):
    """The parts of an (unescaped) text between punctuation or line breaks, each one character apart."""

    parts: list[str]
    ends: list[int]
    """Number of the word after each part."""


def stretches(text: str) -> Stretches:
    """Return the parts of a text that punctuation and line breaks leave."""
    if text.isascii():
        parts = text.translate(_STRETCHES).split("\n")
        return Stretches(parts, list(accumulate(map(len, map(str.split, parts)))))
    parts = _BETWEEN.split(text)
    return Stretches(parts, list(accumulate(len(_WIDE_WORD.findall(part)) for part in parts)))


class Spans(NamedTuple):
    """Where the words of an (unescaped) text stand, in the order of ``Vocabulary.numbers``."""

    starts: list[int]
    ends: list[int]


def spans(text: str) -> Spans:
    """Return where each word starts and ends."""
    if not text.isascii():
        found = [match.span() for match in _WIDE_WORD.finditer(text)]
        return Spans([start for start, _ in found], [end for _, end in found])
    lengths = list(map(len, text.translate(_ASCII).split(" ")))  # 0 between two spaces
    ends = list(map(add, accumulate(lengths), count()))
    return Spans(list(compress(map(sub, ends, lengths), lengths)), list(compress(ends, lengths)))


@dataclass(slots=True)
class Text:
    """An (unescaped) text, the numbers of its words, and where they stand."""

    plain: str
    numbers: list[int]
    _spans: Spans | None = None
    _stretches: Stretches | None = None

    def spans(self) -> Spans:
        """Return where each word stands, made on first use."""
        if self._spans is None:
            self._spans = spans(self.plain)
        return self._spans

    def stretches(self) -> Stretches:
        """Return what stands between punctuation or line breaks, made on first use."""
        if self._stretches is None:
            self._stretches = stretches(self.plain)
        return self._stretches

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return where some words begin and end; without ``spans`` where they are all of a stretch."""
        if self._spans is None:
            parts, ends = self.stretches()
            part = bisect_right(ends, start)
            if ends[part] == end and start == (ends[part - 1] if part else 0):
                text = parts[part]
                low = sum(map(len, parts[:part])) + part
                return low + len(text) - len(text.lstrip()), low + len(text.rstrip())
        places = self.spans()
        return places.starts[start], places.ends[end - 1]

    def worth(self, start: int, end: int) -> float:
        """Return how many words these are worth: in scripts without spaces two characters make one."""
        if self.plain.isascii():
            return end - start
        return end - start - len(_CHARACTERS.findall(self.words(start, end))) / 2

    def words(self, start: int, end: int) -> str:
        """Return the text from one word to another."""
        low, high = self.place(start, end)
        return self.plain[low:high]


def short_values(text: Text, gaps: list[tuple[int, int]]) -> list[tuple[int, int, tuple[int, ...]]]:
    """Return (start, end, words) of what stands in the gaps between punctuation, line breaks or a gap's edges.

    Only of up to three words: a longer one is found as a run of words.
    """
    numbers, cuts = text.numbers, text.stretches().ends
    if gaps == [(0, len(numbers))]:
        return [(a, b, tuple(numbers[a:b])) for a, b in pairwise((0, *cuts)) if 0 < b - a < SHINGLE]
    starts = [start for start, _ in gaps]
    found = []
    for a, b in pairwise(sorted({0, *cuts, *chain.from_iterable(gaps)})):
        if b - a < SHINGLE and (gap := bisect_right(starts, a)) and b <= gaps[gap - 1][1]:
            found.append((a, b, tuple(numbers[a:b])))
    return found
