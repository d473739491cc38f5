"""Folding: one template out of several texts of the same step, for prompts that stand in no source.

The fallback (DISCOVER, method 5): words that all texts share in the same order are its literals, what differs its
slots. Texts are aligned by their unique four-word sequences, in the longest chain that has the same order in all
(patience alignment). Chance and shared data stay out: a literal has five words at least, and three texts must differ.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, takewhile
from typing import NamedTuple

from tracediff.discover.pattern import Pattern, count_words

TEXTS = 3
"""Texts that must differ before what they share says anything."""
_BLOCK = 5
"""Words of a literal."""
_ANCHOR = 4
_TOKEN = re.compile(r"\w+|[^\w\s]")
_LETTER = re.compile(r"\w")
_LABEL = re.compile(r"([A-Za-z][A-Za-z_ ]{0,30}?)\s*[:=>]\s*\Z")


class _Block(NamedTuple):
    """Tokens that all texts share."""

    starts: tuple[int, ...]
    """First token, in each text."""
    length: int

    @property
    def ends(self) -> tuple[int, ...]:
        return tuple(start + self.length for start in self.starts)


class _Tokens:
    """A text as words and marks, with their places."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.spans = [match.span() for match in _TOKEN.finditer(text)]
        self.words = [text[start:end] for start, end in self.spans]

    def anchors(self) -> dict[tuple[str, ...], int]:
        """Return the sequences of four tokens that stand once in the text, and where."""
        found = list(zip(*(self.words[at:] for at in range(_ANCHOR)), strict=False))
        counts = Counter(found)
        return {words: at for at, words in enumerate(found) if counts[words] == 1}


def fold(texts: Iterable[str]) -> Pattern | None:
    """Return what three or more different texts share, as a pattern; None where that is too little to be a prompt."""
    different = list(dict.fromkeys(texts))
    if len(different) < TEXTS:
        return None
    tokens = [_Tokens(text) for text in different]
    blocks = [block for block in _blocks(tokens) if count_words(_text(tokens[0], block)) >= _BLOCK]
    if not blocks:
        return None
    return _pattern(different, [_spans(tokens, block) for block in blocks])


def alike(texts: Iterable[str]) -> list[list[str]]:
    """Return the texts in groups of those that share five words in a row with the first of their group."""
    groups: list[tuple[set[tuple[str, ...]], list[str]]] = []
    for text in texts:
        words = _Tokens(text).words
        runs = set(zip(*(words[at:] for at in range(_BLOCK)), strict=False))
        group = next((found for known, found in groups if not runs.isdisjoint(known)), None)
        if group is None:
            groups.append((runs, [text]))
        else:
            group.append(text)
    return [found for _, found in groups]


def _blocks(tokens: Sequence[_Tokens]) -> list[_Block]:
    """Return the stretches of tokens that stand in all texts in the same order, in that order, without overlap."""
    found: list[dict[tuple[str, ...], tuple[int, ...]]] = [{words: (at,) for words, at in tokens[0].anchors().items()}]
    for other in tokens[1:]:
        anchors = other.anchors()
        both = {words: (*places, anchors[words]) for words, places in found[-1].items() if words in anchors}
        kept = _rising([places[-1] for places in both.values()])
        found.append(dict(item for number, item in enumerate(both.items()) if number in kept))
    blocks: list[_Block] = []
    for places in found[-1].values():
        if blocks and all(b - a <= blocks[-1].length for a, b in zip(blocks[-1].starts, places, strict=True)):
            shifts = {b - a for a, b in zip(blocks[-1].starts, places, strict=True)}
            if len(shifts) == 1:
                blocks[-1] = _Block(blocks[-1].starts, shifts.pop() + _ANCHOR)
                continue
        if not blocks or all(a <= b for a, b in zip(blocks[-1].ends, places, strict=True)):
            blocks.append(_Block(places, _ANCHOR))
    return _grown(tokens, blocks)


def _rising(values: Sequence[int]) -> set[int]:
    """Return the indexes of a longest rising subsequence."""
    tails: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for number, value in enumerate(values):
        place = bisect_left(tails, value)
        tails[place : place + 1] = [value]
        at[place : place + 1] = [number]
        before.append(at[place - 1] if place else -1)
    kept, number = set(), at[-1] if at else -1
    while number >= 0:
        kept.add(number)
        number = before[number]
    return kept


def _grown(tokens: Sequence[_Tokens], blocks: Sequence[_Block]) -> list[_Block]:
    """Return the blocks with the tokens before and after them that all texts share."""
    grown: list[_Block] = []
    for number, block in enumerate(blocks):
        floor = grown[-1].ends if grown else (0,) * len(tokens)
        limit = blocks[number + 1].starts if number + 1 < len(blocks) else tuple(len(text.words) for text in tokens)
        starts, length = block
        while all(a > b for a, b in zip(starts, floor, strict=True)) and _is_one(tokens, [a - 1 for a in starts]):
            starts, length = tuple(a - 1 for a in starts), length + 1
        while all(a + length < b for a, b in zip(starts, limit, strict=True)) and _is_one(
            tokens, [a + length for a in starts]
        ):
            length += 1
        grown.append(_Block(starts, length))
    return grown


def _is_one(tokens: Sequence[_Tokens], places: Sequence[int]) -> bool:
    return len({text.words[place] for text, place in zip(tokens, places, strict=True)}) == 1


def _text(tokens: _Tokens, block: _Block) -> str:
    return tokens.text[tokens.spans[block.starts[0]][0] : tokens.spans[block.ends[0] - 1][1]]


def _spans(tokens: Sequence[_Tokens], block: _Block) -> list[tuple[int, int]]:
    """Return where a block stands in each text, in characters."""
    return [
        (text.spans[start][0], text.spans[end - 1][1])
        for text, start, end in zip(tokens, block.starts, block.ends, strict=True)
    ]


def _pattern(texts: Sequence[str], blocks: Sequence[list[tuple[int, int]]]) -> Pattern:
    """Return the pattern with these literals; spaces and marks around them that all texts share belong to them."""
    edges = [[(0, 0)] * len(texts), *blocks, [(len(text), len(text)) for text in texts]]
    literals = ["", *(texts[0][start:end] for (start, end), *_ in blocks), ""]
    gaps: list[bool] = []
    for number, (left, right) in enumerate(pairwise(edges)):
        between = [text[a[1] : b[0]] for text, a, b in zip(texts, left, right, strict=True)]
        head, tail = _shared(between)
        literals[number] += head
        literals[number + 1] = tail + literals[number + 1]
        gaps.append(any(len(text) > len(head) + len(tail) for text in between))
    joined = [literals[0]]
    for is_gap, literal in zip(gaps, literals[1:], strict=True):
        if is_gap:
            joined.append(literal)
        else:
            joined[-1] += literal
    return Pattern(tuple(joined), tuple(_names(joined)))


def _shared(between: Sequence[str]) -> tuple[str, str]:
    """Return the marks and spaces that all stretches begin and end with; all of it where they are equal."""
    if len(set(between)) == 1:
        return between[0], ""
    head = _marks(between)
    return head, _marks([text[: len(head) - 1 : -1] if head else text[::-1] for text in between])[::-1]


def _marks(texts: Sequence[str]) -> str:
    """Return the beginning that texts share, up to the first word."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(takewhile(lambda letter: not _LETTER.match(letter), (letters[0] for letters in same)))


def _names(literals: Sequence[str]) -> Iterator[str]:
    """Yield a name for each slot: the label before it, or ``part``."""
    taken: set[str] = set()
    for before in literals[:-1]:
        label = _LABEL.search(before.rpartition("\n")[2] or before.rstrip("\n").rpartition("\n")[2])
        wanted = "_".join(label[1].lower().split()) if label else "part"
        name, number = wanted, 1
        while name in taken or any(f"{{{name}}}" in literal for literal in literals):
            number += 1
            name = f"{wanted}_{number}"
        taken.add(name)
        yield name
