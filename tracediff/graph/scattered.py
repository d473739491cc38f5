"""Last resort for a long stretch without a source: words in another order, or letters exchanged one for one."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from operator import sub

from tracediff.graph.findings import Stretch, Trace
from tracediff.graph.sources import Source, Sources
from tracediff.graph.words import spans, unescaped

WORDS = 14
"""Words that such evidence needs at least."""
_RARE = 24
"""A word that stands in more sources than this says nothing about which one it is."""
_SHARE = 0.85
_SAMPLE = 16
"""Words, about, by which a stretch is judged before all of it is looked at."""
_AGREED = 2
"""How many more of these must be rare words of sources than there are such sources."""
_LOOKS = 50
"""Looks in vain after which only calls without any source get one: long runs would pay for each record."""
_LETTERS = 30
"""Letters whose exchange must be consistent: chance can't do that."""
_RUN = 5


class Scattered:
    """Finds sources whose words or letters were moved by code that nobody decorated."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._done = [0, 0]
        self._vain = 0
        self._latest: dict[int, Source] = {}
        """Word -> the latest output with it: one that repeats another's words is the nearer source."""
        self._lengths: dict[tuple[int, ...], list[tuple[Source, int]]] = {}

    def is_vain(self) -> bool:
        """Return whether so many looks found nothing that this program seems to have no code that moves words."""
        return self._vain >= _LOOKS

    def find(self, stretch: Stretch) -> Trace | None:
        """Return the source of a stretch of words that no other method explains."""
        found = self._find(stretch)
        self._vain = 0 if found is not None else self._vain + 1
        return found

    def _find(self, stretch: Stretch) -> Trace | None:
        numbers = stretch.numbers
        known = stretch.covered.known
        sample = numbers[:: len(numbers) // _SAMPLE or 1]
        new = len([number for number in sample if number >= known])
        if new <= (1 - _SHARE) * len(sample):
            return self._reordered(stretch, sample)
        return self._exchanged(stretch.text.casefold()) if 2 * new >= len(sample) else None

    def _unread(self, reader: int) -> list[Source]:
        """Return the outputs that one of the two indexes has not taken in yet; a prompt's values are not its own."""
        found = self.sources.listed(self._done[reader])
        self._done[reader] += len(found)
        return [source for source in found if source.holders and source.literals is None]

    def _reordered(self, stretch: Stretch, sample: tuple[int, ...]) -> Trace | None:
        """Return the source that has nearly all of these words, if its rare words point at it."""
        latest, words = self._latest, self.sources.words
        for unread in self._unread(0):
            latest.update(dict.fromkeys(self.sources.numbers(unread), unread))
        some = [latest[number] for number in words.rare(sample, _RARE) if number in latest]
        if len(some) - len(set(some)) < _AGREED:
            return None
        numbers = stretch.numbers
        rare = words.rare(numbers, _RARE)
        votes = Counter(latest[number] for number in rare if number in latest)
        top = max(votes.values())
        source = max((one for one, count in votes.items() if count == top), key=lambda one: one.rank)
        follow = set(pairwise(self.sources.numbers(source)))
        if sum(pair in follow for pair in pairwise(numbers)) > _SHARE * len(numbers):
            return None  # not moved: the cover has seen this and has refused it
        theirs = set(self.sources.numbers(source))
        inside = [number in theirs for number in numbers]
        first, last = inside.index(True), len(inside) - inside[::-1].index(True)
        count = sum(inside[first:last])
        least = WORDS * len(numbers) / stretch.covered.text.worth(stretch.start, stretch.end)
        bits = self.sources.words.bits([number for number in set(numbers) if number in theirs])
        enough = count >= least and count >= _SHARE * (last - first) and top >= WORDS // 3
        return Trace(source, is_exchanged=False) if enough and bits >= 2 * WORDS else None

    def _exchanged(self, text: str) -> Trace | None:
        """Return the source whose letters were exchanged one for one (rot13 and the like)."""
        for source in self._unread(1):
            lengths = list(map(sub, source.spans().ends, source.spans().starts))
            for at in range(len(lengths) - _RUN + 1):
                places = self._lengths.setdefault(tuple(lengths[at : at + _RUN]), [])
                if len(places) < _RARE:
                    places.append((source, at))
        places_here = spans(text)
        mine = [text[start:end] for start, end in zip(*places_here, strict=True)]
        lengths = [len(word) for word in mine]
        for start in range(len(mine) - _RUN + 1):
            for source, at in self._lengths.get(tuple(lengths[start : start + _RUN]), ()):
                if _is_exchange(mine[start:], _words(source)[at:]):
                    return Trace(source, is_exchanged=True)
        return None


def _words(source: Source) -> list[str]:
    text = unescaped(source.text).casefold()
    return [text[start:end] for start, end in zip(*source.spans(), strict=True)]


def _is_exchange(mine: list[str], theirs: list[str]) -> bool:
    """Return whether one fixed exchange of letters turns the first words of one text into those of the other."""
    forth: dict[str, str] = {}
    back: dict[str, str] = {}
    seen = 0
    for word, other in zip(mine, theirs, strict=False):
        if len(word) != len(other):
            break
        for one, two in zip(word, other, strict=True):
            if forth.setdefault(one, two) != two or back.setdefault(two, one) != one:
                return False
        seen += len(word)
    moved = sum(one != two for one, two in forth.items())
    return seen >= _LETTERS and seen >= 2 * len(forth) and 2 * moved >= len(forth)
