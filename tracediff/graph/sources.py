"""Everything a later input can be explained by: whole texts, runs of words, short values."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import compress, count, repeat
from typing import NamedTuple

from tracediff.graph.words import SHINGLE, Spans, Vocabulary, spans, stretches, unescaped

POSTINGS = 6
"""Places remembered for a shingle that several texts share: the first ones and the latest."""
LONG_RUN = 1 << 16
"""Words of outputs from which on four words of a part of one are taken for chance."""
_OFFSET_BITS = 32


class Holder(NamedTuple):
    """One place in one call's output where a text stands."""

    call: int
    """Position of the call in the run, by start."""
    path: str
    since: int
    """Sequence number from which the text was known."""


@dataclass(slots=True, eq=False)
class Source:
    """A distinct text and the calls that put it out; without any, it came from outside (an input, a literal)."""

    text: str
    holders: list[Holder] = field(default_factory=list)
    numbers: list[int] | None = None
    rank: int = 0
    """Which of the indexed sources it is, from 1; 0 if it is not indexed."""
    literals: tuple[str, ...] | None = None
    """On the output of a prompt with variables: the template's own text; the rest flows through it."""
    _spans: Spans | None = None
    _own: list[bool] | None = None

    def spans(self) -> Spans:
        """Return where each word stands in the unescaped text."""
        if self._spans is None:
            self._spans = spans(unescaped(self.text))
        return self._spans

    def own_words(self, start: int, end: int) -> int:
        """Return how many of these words are the source's own and not values it was filled with."""
        if self.literals is None:
            return end - start
        if self._own is None:
            plain, at = unescaped(self.text), 0
            self._own = [False] * len(self.spans().starts)
            for part in self.literals:
                literal = unescaped(part).strip()
                low = plain.find(literal, at) if literal else -1
                if low >= 0:
                    at = low + len(literal)
                    for i, first in enumerate(self.spans().starts):
                        self._own[i] |= low <= first < at
        return sum(self._own[start:end])


_OUTSIDE = Source("")


class Piece(NamedTuple):
    """A short value that stands delimited in an output."""

    holder: Holder
    is_whole: bool
    is_new: bool
    """The run had not seen one of its words before."""


# A value stands whole on its line (after a bullet), after a colon or equals sign, or in quotes or brackets.
_PART = re.compile(
    r"[\n:=\"'`(\[{<>|*,;](?:(?<=\n)[ \t]*(?:[-*•][ \t]+|\d+[.)][ \t]+)?|[ \t]*)"
    r"([^\W_][^\n\"'`()\[\]{}<>|*;:=,]{0,63}+)(?=[\n\"'`)\]}<>|*;,]|\Z)"
)


_MARK = re.compile(r"[:=\n\"`(\[{<>|*;]")
_EARLY_COMMA = re.compile(r"[^.\n]{0,80},")


class Sources:
    """The texts known so far, in the order in which the run made them."""

    def __init__(self, words: Vocabulary) -> None:
        self.words = words
        self.whole: dict[str, Source] = {}
        """Stripped text -> its source."""
        self.pieces: dict[tuple[int, ...], list[Piece]] = {}
        """Words of a short value -> where it stands, in order of time."""
        self.parts: dict[tuple[int, ...], list[Piece]] = {}
        """Words of a short value -> the outputs in which it stands delimited, in order of time."""
        self.outside: set[str] = set()
        """Lines that no call has put out."""
        self._unsplit: list[tuple[Source, Holder]] = []
        self._longest = 0
        self.names: dict[int, int] = {}
        """First words of outputs that are short values as a whole, each with the length of the longest."""
        self.joined: dict[int, set[tuple[int, ...]]] = {}
        """First words of short values with punctuation within ("3.5", "U.S."), each with all such values."""
        self._inner_lines: set[str] = set()
        """Lines of outputs of several lines: what holds one may hold its neighbours too."""
        self._index: dict[int, int] = {}
        """Hash of four words -> the rank of the first source in which they stand."""
        self._more: dict[int, list[int]] = {}
        self._fours: set[int] = set()
        """Hashes of the sources that are just four words."""
        self._indexed: list[Source] = [Source("")]

    def numbers(self, source: Source) -> list[int]:
        """Return the word numbers of a source, made on first use."""
        if source.numbers is None:
            source.numbers = self.words.numbers(unescaped(source.text))
        return source.numbers

    def add(self, text: str, holder: Holder, literals: tuple[str, ...] | None = None) -> None:
        """Note that a call has put ``text`` out; ``literals`` are a prompt's own text in it."""
        key = text.strip()
        source = self.whole.get(key)
        if source is None:
            source = self.whole[key] = Source(key, literals=literals)
        elif literals is None:
            source.literals = None
        source.holders.append(holder)
        if source.rank:
            return
        if "\n" in key:
            self._inner_lines.update(line.strip() for line in key.split("\n"))
        known = self.words.size
        numbers = self.numbers(source)
        if literals is None and len(key) > 3 and len(numbers) > 1:
            self._unsplit.append((source, holder))
        if len(numbers) >= SHINGLE:
            if len(numbers) == SHINGLE:
                self._fours.add(hash(tuple(numbers)))
            self._index_all(self._put(source), numbers)
        elif numbers:
            self.names[numbers[0]] = max(len(numbers), self.names.get(numbers[0], 0))
            self._longest = max(len(numbers), self._longest)
            piece = Piece(holder, is_whole=True, is_new=max(numbers) >= known)
            self._put_value(self.pieces, key, tuple(numbers), piece)

    def add_outside(self, numbers: list[int]) -> None:
        """Note words that no call has put out, so that later coincidences with them lose.

        They only have to be found again where they are long: every fourth word is an anchor.
        """
        if len(numbers) < SHINGLE:
            return
        rank = self._put(Source("", numbers=numbers))
        anchors = zip(numbers[::SHINGLE], numbers[1::SHINGLE], numbers[2::SHINGLE], numbers[3::SHINGLE], strict=False)
        deque(map(self._index.setdefault, map(hash, anchors), repeat(rank)), maxlen=0)

    def line(self, text: str) -> Source | None:
        """Return the output that is exactly this line, if no other output holds it among further lines."""
        source = self.whole.get(text)
        if source is None or not source.rank or not source.holders or text in self._inner_lines:
            return None
        return source

    def field(self, line: str, value: str) -> Source | None:
        """Return the output that is exactly the value after the key of a line; one without holders is from outside."""
        if line.strip() in self._inner_lines:
            return None
        text = value.strip()
        if text in self.whole:
            return self.line(text)
        return _OUTSIDE if text in self.outside else None

    def _put_value(
        self, values: dict[tuple[int, ...], list[Piece]], text: str, words: tuple[int, ...], piece: Piece
    ) -> None:
        values.setdefault(words, []).append(piece)
        if len(words) < 2 or text.replace(" ", "").isalnum():
            return
        if any(0 < end < len(words) for end in stretches(unescaped(text)).ends):
            self.joined.setdefault(words[0], set()).add(words)

    def _put(self, source: Source) -> int:
        """Return the rank of a source, now indexed."""
        source.rank = len(self._indexed)
        self._indexed.append(source)
        return source.rank

    def _index_all(self, rank: int, numbers: list[int]) -> None:
        self.words.count(numbers)
        size = len(self._index)
        known = list(map(self._index.setdefault, _shingles(numbers), repeat(rank)))
        if len(self._index) - size != len(known):
            more = self._more
            for at in compress(count(), map(rank.__ne__, known)):
                others = more.setdefault(hash(tuple(numbers[at : at + SHINGLE])), [])
                if others and others[-1] == rank:
                    continue
                if len(others) >= POSTINGS:
                    del others[POSTINGS // 2]
                others.append(rank)

    def seeds(self, numbers: list[int]) -> Iterator[tuple[int, int]]:
        """Yield positions whose next four words may stand in sources, and the rank of the first of these, in order.

        In a long run, where four words are found by chance and prove nothing, five are needed unless the four are a
        whole output: so every other position is enough.
        """
        step = 1 if self.words.total < LONG_RUN else 2
        found = list(map(self._index.get, _shingles(numbers, 0, step)))
        seeds = zip(compress(count(0, step), found), filter(None, found), strict=True)
        if step == 1 or not self._fours:
            return seeds
        between = list(_shingles(numbers, 1, step))
        if self._fours.isdisjoint(between):
            return seeds
        wholes = ((1 + step * at, self._index[four]) for at, four in enumerate(between) if four in self._fours)
        return iter(sorted([*seeds, *wholes]))

    def places(self, seed: int, numbers: list[int]) -> list[int]:
        """Return every known place of four words, of which ``seed`` is the first source: rank and offset in one."""
        found: list[int] = []
        for rank in (seed, *self._more.get(hash(tuple(numbers)), ())):
            words = self.numbers(self._indexed[rank])
            at = -1
            for _ in range(words.count(numbers[0])):
                at = words.index(numbers[0], at + 1)
                if words[at : at + SHINGLE] == numbers:
                    found.append((rank << _OFFSET_BITS) + at)
        return found

    def at(self, place: int) -> tuple[Source, int]:
        """Return the source that a place belongs to, and which of its words stands there."""
        rank = place >> _OFFSET_BITS
        return self._indexed[rank], place - (rank << _OFFSET_BITS)

    def listed(self, rank: int) -> list[Source]:
        """Return the indexed sources from a rank on, in order of time."""
        return self._indexed[rank:]

    def is_value(self, key: tuple[int, ...]) -> bool:
        """Return whether these words are an output, or stand in outputs mostly on their own and not in sentences."""
        if key in self.pieces:
            return True
        found = self.parts.get(key)
        return found is not None and 2 * len(found) >= self.words.least(key)

    def longest(self) -> int:
        """Return how many words the longest known short value has; 0 where there is none."""
        for source, holder in self._unsplit:
            if not (_MARK.search(source.text) or _EARLY_COMMA.match(source.text)):
                continue
            seen: set[tuple[int, ...]] = set()
            for value in _PART.findall("\n" + unescaped(source.text)):
                if value.count(" ") > SHINGLE or ". " in value:  # two sentences are no value
                    continue
                words = tuple(self.words.numbers(value))
                if 0 < len(words) < SHINGLE and words not in seen:
                    seen.add(words)
                    self._longest = max(len(words), self._longest)
                    self._put_value(self.parts, value, words, Piece(holder, is_whole=False, is_new=False))
        self._unsplit.clear()
        return self._longest


def _shingles(numbers: list[int], first: int = 0, step: int = 1) -> Iterator[int]:
    """Return the hash of four words in a row from each position on; whoever finds one compares the words."""
    following = (numbers[first + i :: step] for i in range(SHINGLE))
    return map(hash, zip(*following, strict=False))
