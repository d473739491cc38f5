"""Texts as casefolded word tokens: the units in which text is compared."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import accumulate

_WORD = re.compile(r"\w+")
# Scripts without spaces between words: each character is a word.
_CHARACTER = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f"
_WIDE_WORD = re.compile(rf"[{_CHARACTER}]|[^\W{_CHARACTER}]+")
_SPLIT = re.compile(r"(\W+)")
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


class Vocabulary(dict[str, int]):
    """Word as written -> number of its casefolded form; new words get the next number."""

    def __init__(self) -> None:
        super().__init__()
        self._folded: dict[str, int] = {}
        self._counts: Counter[int] = Counter()
        self._pending: list[list[int]] = []
        self._total = 0

    def __missing__(self, word: str) -> int:
        number = self._folded.setdefault(word.casefold(), len(self._folded))
        self[word] = number
        return number

    def numbers(self, text: str) -> list[int]:
        """Return the numbers of the words of an (unescaped) text, in order; counted for ``bits``."""
        words = _WORD.findall(text) if text.isascii() else _WIDE_WORD.findall(text)
        found = list(map(self.__getitem__, words))
        self._total += len(found)
        self._pending.append(found)
        return found

    def key(self, text: str) -> tuple[int, ...]:
        """Return the numbers of the words of a short text; not counted."""
        words = _WORD.findall(text) if text.isascii() else _WIDE_WORD.findall(text)
        return tuple(map(self.__getitem__, words))

    @property
    def size(self) -> int:
        """Distinct words so far; a word with this number or a higher one is new."""
        return len(self._folded)

    @property
    def total(self) -> int:
        """Words counted so far."""
        return self._total

    def bits(self, numbers: list[int]) -> float:
        """Return how surprising this sequence is: the sum of -log2 of each word's frequency in the run."""
        counts = self._counts
        for pending in self._pending:
            counts.update(pending)
        self._pending.clear()
        limit = math.log2(self._total + 1)
        return sum(limit - math.log2(counts[number] or 1) for number in numbers)


def spans(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of each word of an (unescaped) text, in the order of ``Vocabulary.numbers``."""
    if not text.isascii():
        return [match.span() for match in _WIDE_WORD.finditer(text)]
    parts = _SPLIT.split(text)
    ends = list(accumulate(map(len, parts)))
    found = list(zip((0, *ends[1::2]), ends[::2], strict=True))
    if found and found[0][1] == 0:
        del found[0]
    if found and found[-1][0] == found[-1][1]:
        del found[-1]
    return found
