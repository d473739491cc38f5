"""Patterns: literals with gaps between them, found in a text whatever became of the whitespace.

DISCOVER, method 2: all literals in order, on word boundaries, without overlap; the last one at the end where the
pattern explains a whole text. The text is compared as it is, and on a whitespace-collapsed copy with an offset map.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Letters of scripts that put no space between words: Thai, Lao, Burmese, Khmer, kana, Chinese."""
_WORD = re.compile(rf"[{_UNSPACED}]{{1,2}}|[^\W{_UNSPACED}]+")
_HEAD = re.compile(rf"\A[^\W{_UNSPACED}]+")
_TAIL = re.compile(rf"[^\W{_UNSPACED}]+\Z")
_NO_BORDER = re.compile(rf"[{_UNSPACED}]")
_BLACK = re.compile(r"\S+")

_FEW, _MARKS = 8, 4

Span: TypeAlias = tuple[int, int]


class Pattern:
    """The literals of one template, ``n + 1`` for ``n`` slots, and the slots' names."""

    __slots__ = (
        "chars",
        "cores",
        "inner",
        "is_closed",
        "literals",
        "longest",
        "longest_words",
        "marks",
        "reading",
        "slots",
        "words",
    )

    def __init__(self, literals: tuple[str, ...], slots: tuple[str, ...], reading: str = "raw") -> None:
        assert len(literals) == len(slots) + 1
        self.reading = reading
        """How its fields are written: raw, fstring, format, braced (``{{`` stays), percent, dollar or jinja."""
        self.literals = literals
        self.slots = slots
        self.cores = tuple(map(collapsed, literals))
        self.chars = sum(map(len, self.cores))
        words = [count_words(text) for text in _unglued(literals)]
        self.words = sum(words)
        self.longest = max(self.cores, key=len)
        self.longest_words = max(words)
        self.marks = tuple(sorted(dict.fromkeys(self.longest.split(" ")), key=len, reverse=True)[:_MARKS])
        """Stand in every text that the longest literal stands in, whatever became of the whitespace."""
        self.inner = frozenset(self.longest.split(" ")[1:-1])
        """Its words but for the first and the last, which may be glued to others."""
        self.is_closed = bool(self.cores[0] and self.cores[-1])
        """It begins and ends with a literal, so that its place inside a text is known."""

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for patterns that stand for the same text."""
        return self.cores

    def trimmed(self) -> Pattern | None:
        """Return the pattern without slots at its edges; None where it has none, or nothing is left."""
        first, last = 0, len(self.literals) - 1
        while first < last and not self.cores[first]:
            first += 1
        while last > first and not self.cores[last]:
            last -= 1
        if (first, last) == (0, len(self.literals) - 1) or not self.cores[first]:
            return None
        return self._cut(first, last)

    def bared(self) -> Pattern | None:
        """Return the pattern between its first and last literal with words; None where that is all or nothing."""
        worded = [number for number, core in enumerate(self.cores) if count_words(core)]
        if not worded or (worded[0], worded[-1]) == (0, len(self.literals) - 1):
            return None
        return self._cut(worded[0], worded[-1])

    def _cut(self, first: int, last: int) -> Pattern:
        return Pattern(self.literals[first : last + 1], self.slots[first:last], self.reading)


def _unglued(literals: tuple[str, ...]) -> Iterator[str]:
    """Yield the literals without what touches a slot: letters that a value goes on from are no word."""
    for number, literal in enumerate(literals):
        text = _HEAD.sub("", literal) if number else literal
        yield _TAIL.sub("", text) if number < len(literals) - 1 else text


def collapsed(text: str) -> str:
    """Return ``text`` with every run of whitespace as one space, and none at its edges."""
    return " ".join(text.split())


def count_words(text: str) -> int:
    """Return how many words stand in ``text``; two letters are one where a script puts no space between words."""
    return len(_WORD.findall(text))


@dataclass(frozen=True, slots=True)
class Found:
    """Where a pattern stands in a text."""

    pattern: Pattern
    start: int
    end: int
    spans: tuple[Span | None, ...]
    """Of each literal; None where its place is not certain: the slots on both sides are one gap then."""
    gaps: tuple[tuple[int, int, Span], ...]
    """(first slot, slot after the last, span) for each stretch of the text between literals of certain place."""

    def trimmed(self, pattern: Pattern, text: str) -> Found:
        """Return the find in ``text`` without slots and space at its edges, as one of ``pattern.trimmed()``."""
        first = next(number for number, core in enumerate(self.pattern.cores) if core)
        spans = list(self.spans[first : first + len(pattern.literals)])
        for number in {0, len(spans) - 1}:
            if (span := spans[number]) is not None:
                literal = text[span[0] : span[1]]
                lead = len(literal) - len(literal.lstrip()) if number == 0 else 0
                trail = len(literal) - len(literal.rstrip()) if number == len(spans) - 1 else 0
                spans[number] = span[0] + lead, span[1] - trail
        return _found(pattern, spans)


class Region:
    """A stretch of a text that is to be explained."""

    def __init__(self, raw: str, start: int, end: int, fixed: Sequence[Pattern] = ()) -> None:
        self.raw, self.start, self.end = raw, start, end
        self._fixed = fixed
        """Patterns without slots. Where one stands, what is shorter is a part of it, not another pattern's literal."""

    def part(self, start: int, end: int) -> Region:
        """Return a stretch within it; itself for all of it."""
        is_all = (start, end) == (self.start, self.end)
        return self if is_all else Region(self.raw, start, end, self._fixed)

    @property
    def is_blank(self) -> bool:
        """It holds nothing but whitespace."""
        return self.start >= self.end or not _BLACK.search(self.raw, self.start, self.end)

    def may_have(self, patterns: Sequence[Pattern]) -> list[bool]:
        """Tell of each pattern whether it may stand in the stretch; never False of one that does.

        Few patterns are looked for by a word, which spares a long text from being collapsed.
        """
        if len(patterns) > _FEW or "flat" in self.__dict__:
            flat = self.flat
            words = frozenset(flat.split(" "))
            return [words.issuperset(pattern.inner) and pattern.longest in flat for pattern in patterns]
        find, start, end = self.raw.find, self.start, self.end
        return [all(find(mark, start, end) >= 0 for mark in pattern.marks) for pattern in patterns]

    @cached_property
    def _blocks(self) -> list[Span]:
        """Return where the fixed patterns stand in the flat text."""
        if not self._fixed:
            return []
        return [
            (at, at + len(pattern.cores[0]))
            for pattern in self._fixed
            for at in _occurrences(self.flat, pattern.literals[0], pattern.cores[0], begins=True, ends=True)
        ]

    @cached_property
    def _raw_blocks(self) -> list[Span]:
        return [(self._raw_at(start), self._raw_at(end - 1) + 1) for start, end in self._blocks]

    @cached_property
    def flat(self) -> str:
        """The stretch with every run of whitespace as one space."""
        return collapsed(self.raw[self.start : self.end])

    @cached_property
    def _words(self) -> tuple[list[int], list[int]]:
        """Return where each word starts, in the raw text and in the flat one."""
        raw: list[int] = []
        flat: list[int] = []
        at = 0
        for match in _BLACK.finditer(self.raw, self.start, self.end):
            raw.append(match.start())
            flat.append(at)
            at += match.end() - match.start() + 1
        return raw, flat

    def _raw_span(self, span: Span, core: str, bare: str) -> Span:
        """Return where a core of the flat text stands in the raw one.

        A literal that stands once in both is at the same place in both; else the words are counted.
        """
        at = self.raw.find(bare, self.start, self.end)
        is_once = at >= 0 and self.raw.rfind(bare, self.start, self.end) == at
        if is_once and self.flat.find(core) == span[0] == self.flat.rfind(core):
            return at, at + len(bare)
        return self._raw_at(span[0]), self._raw_at(span[1] - 1) + 1

    def _raw_at(self, position: int) -> int:
        raw, flat = self._words
        word = bisect_right(flat, position) - 1
        return raw[word] + position - flat[word]

    def whole(self, pattern: Pattern) -> Found | None:
        """Return the pattern as the explanation of the whole stretch, edges included."""
        return self._as_it_is(pattern) or self._collapsed(pattern)

    def _as_it_is(self, pattern: Pattern) -> Found | None:
        raw, literals, start, end = self.raw, pattern.literals, self.start, self.end
        if len(literals) == 1:
            is_equal = end - start == len(literals[0]) and raw.startswith(literals[0], start)
            return _found(pattern, [_bared(literals[0], (start, end))]) if is_equal else None
        low, high = start + len(literals[0]), end - len(literals[-1])
        if low > high or not (raw.startswith(literals[0], start) and raw.endswith(literals[-1], low, end)):
            return None
        middle = _places(raw, literals[1:-1], low, high, blocks=self._raw_blocks if len(literals) > 2 else ())
        if middle is None:
            return None
        first, last = (start, low), (high, end)
        if pattern.cores[0]:
            first = start + len(literals[0]) - len(literals[0].lstrip()), low
        if pattern.cores[-1]:
            last = high, high + len(literals[-1].rstrip())
        return _found(pattern, [first, *middle, last])

    def _collapsed(self, pattern: Pattern) -> Found | None:
        cores, flat = pattern.cores, self.flat
        low, high = len(cores[0]), len(flat) - len(cores[-1])
        if len(cores) == 1:
            return self._found(pattern, [(0, len(flat))]) if flat == cores[0] else None
        if low > high or not (flat.startswith(cores[0]) and flat.endswith(cores[-1])):
            return None
        if not (_fits(flat, pattern.literals[0], 0, low) and _fits(flat, pattern.literals[-1], high, len(flat))):
            return None
        middle = _places(flat, cores[1:-1], low, high, edges=pattern.literals[1:-1], blocks=self._blocks)
        if middle is None:
            return None
        return self._found(pattern, [(0, low), *middle, (high, len(flat))])

    def inside(self, pattern: Pattern) -> Iterator[Found]:
        """Yield the places of a closed pattern in the stretch, from left to right, without overlap."""
        cores, flat = pattern.cores, self.flat
        starts = list(_occurrences(flat, pattern.literals[0], cores[0], begins=True, ends=len(cores) == 1))
        done = 0
        for number, at in enumerate(starts):
            if at < done:
                continue
            low = at + len(cores[0])
            if len(cores) == 1:
                done = low
                yield self._found(pattern, [(at, low)])
                continue
            limit = starts[number + 1] if number + 1 < len(starts) else len(flat)
            window = flat[:limit]
            middle_end = _chain_end(window, cores[1:-1], low)
            if middle_end is None:
                continue
            ends = list(_occurrences(window, pattern.literals[-1], cores[-1], middle_end, ends=True))
            if len(ends) != 1:
                continue  # nowhere, or nobody knows where it ends
            middle = _places(flat, cores[1:-1], low, ends[0], edges=pattern.literals[1:-1], blocks=self._blocks)
            if middle is None:
                continue
            done = ends[0] + len(cores[-1])
            yield self._found(pattern, [(at, low), *middle, (ends[0], done)])

    def _found(self, pattern: Pattern, flat: list[Span | None]) -> Found:
        """Return the find of these spans of the flat text, in the raw text.

        Next to a slot a literal has its own whitespace; what is left of a run belongs to the slot's value.
        """
        raw, spans, floor, last = self.raw, list[Span | None](), self.start, len(flat) - 1
        for number, (span, literal) in enumerate(zip(flat, pattern.literals, strict=True)):
            if span is None:
                spans.append(None)
                continue
            if span[0] == span[1]:  # an edge without a literal: the slot begins or ends with the stretch
                edge = self.start if number == 0 else self.end
                spans.append((edge, edge))
                continue
            start, end = self._raw_span(span, pattern.cores[number], literal.strip())
            lead = literal[: len(literal) - len(literal.lstrip())]
            trail = literal[len(literal.rstrip()) :]
            before = _blank_before(raw, start, floor)
            after = _blank_after(raw, end, self.end)
            if number and lead:
                start = start - len(lead) if raw.endswith(lead, before, start) else before
            if number < last and trail:
                end = end + len(trail) if raw.startswith(trail, end, after) else after
            spans.append((start, end))
            floor = end
        return _found(pattern, spans)


def _found(pattern: Pattern, spans: list[Span | None]) -> Found:
    known = [(number, span) for number, span in enumerate(spans) if span is not None]
    gaps = tuple((a, b, (left[1], right[0])) for (a, left), (b, right) in pairwise(known))
    return Found(pattern, known[0][1][0], known[-1][1][1], tuple(spans), gaps)


def _bared(literal: str, span: Span) -> Span:
    """Return the span of a literal without the space around it, which is no part of a prompt's text."""
    return span[0] + len(literal) - len(literal.lstrip()), span[0] + len(literal.rstrip())


def _blank_before(raw: str, at: int, floor: int) -> int:
    while at > floor and raw[at - 1].isspace():
        at -= 1
    return at


def _blank_after(raw: str, at: int, ceiling: int) -> int:
    while at < ceiling and raw[at].isspace():
        at += 1
    return at


def _places(
    text: str,
    literals: tuple[str, ...],
    low: int,
    high: int,
    *,
    edges: tuple[str, ...] | None = None,
    blocks: Sequence[Span] = (),
) -> list[Span | None] | None:
    """Return where each literal stands between ``low`` and ``high``, in order, None for those with more places.

    A literal has one place when the search from the left and the search from the right agree. None when one is not
    there. ``edges`` are the literals with their whitespace, for word boundaries; none stands within one of ``blocks``.
    """
    left: list[int] = []
    at = low
    for number, literal in enumerate(literals):
        while True:
            at = text.find(literal, at, high)
            if at < 0:
                return None
            if _is_free(at, at + len(literal), blocks) and (
                edges is None or _fits(text, edges[number], at, at + len(literal))
            ):
                break
            at += 1
        left.append(at)
        at += len(literal)
    right: list[int] = []
    at = high
    for number in range(len(literals) - 1, -1, -1):
        literal = literals[number]
        while True:
            at = text.rfind(literal, low, at)
            if at < 0:
                return None
            if _is_free(at, at + len(literal), blocks) and (
                edges is None or _fits(text, edges[number], at, at + len(literal))
            ):
                break
            at += len(literal) - 1
        right.append(at)
    right.reverse()
    return [
        (a, a + len(literal)) if a == b and literal else None
        for a, b, literal in zip(left, right, literals, strict=True)
    ]


def _is_free(start: int, end: int, blocks: Sequence[Span]) -> bool:
    """Tell whether a place is no part of a longer one that is known."""
    return not any(low <= start and end <= high and end - start < high - low for low, high in blocks)


def _chain_end(text: str, cores: tuple[str, ...], at: int) -> int | None:
    """Return where the last of ``cores`` ends when they are found one after the other; None when one is not there."""
    for core in cores:
        at = text.find(core, at)
        if at < 0:
            return None
        at += len(core)
    return at


def _occurrences(
    flat: str, literal: str, core: str, at: int = 0, *, begins: bool = False, ends: bool = False
) -> Iterator[int]:
    """Yield where a core stands from ``at`` on; where the pattern ``begins`` or ``ends`` with it, no word is cut."""
    at = flat.find(core, at)
    while at >= 0:
        end = at + len(core)
        is_cut = (begins and at > 0 and _is_wordly(flat[at - 1]) and _is_wordly(flat[at])) or (
            ends and end < len(flat) and _is_wordly(flat[end]) and _is_wordly(flat[end - 1])
        )
        apart = literal.lstrip() if begins else literal
        if not is_cut and _fits(flat, apart.rstrip() if ends else apart, at, end):
            yield at
        at = flat.find(core, at + 1)


def _fits(flat: str, literal: str, start: int, end: int) -> bool:
    """Tell whether a core at this place stands apart as its literal does: by space where that has space."""
    if start == end:
        return True
    is_apart_before = not literal[:1].isspace() or start == 0 or flat[start - 1] == " "
    return is_apart_before and (not literal[-1:].isspace() or end == len(flat) or flat[end] == " ")


def _is_wordly(char: str) -> bool:
    return (char.isalnum() or char == "_") and not _NO_BORDER.match(char)
