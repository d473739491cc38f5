"""What explaining an input leaves behind: findings, stretches without a source, texts that were pieced together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from tracediff.graph.calls import Call
from tracediff.graph.confidence import Evidence, confidence
from tracediff.graph.cover import Match
from tracediff.graph.reasons import Reason
from tracediff.graph.sources import Source
from tracediff.graph.words import Text, short_values


class Finding(NamedTuple):
    """One reason for an edge: a piece of ``source``'s output in an argument of the consumer."""

    source: int
    argument: str
    evidence: Evidence
    confidence: float
    reason: Reason


class Trace(NamedTuple):
    """A source and how its text was changed."""

    source: Source
    is_exchanged: bool
    """Its letters were exchanged; else its words stand in another order."""


@dataclass(slots=True)
class Covered:
    """A text that had to be pieced together, kept for the next consumer of the same text."""

    text: Text
    matches: list[Match]
    known: int = 0
    """Words of the run when this text came up: a word with this number or a higher one was new."""
    first: int = 0
    """Sequence number of the call that had this text first."""
    outside: list[tuple[int, int]] = field(default_factory=list)
    """(start, end) of what had no source then: no later output is one, where the same text comes again."""
    traces: dict[tuple[int, int], Trace | None] = field(default_factory=dict)
    """(start, end) of a stretch without a source -> what it was made of, if its words or letters were moved."""
    gaps: list[tuple[int, int]] = field(init=False)
    """(start, end) of what no match covers."""
    _values: list[tuple[int, int, tuple[int, ...]]] | None = None

    def __post_init__(self) -> None:
        self.gaps = self.without(())

    @property
    def values(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """(start, end, words) of what stands in the gaps between line edges, punctuation or matches, if it is short."""
        if self._values is None:
            self._values = short_values(self.text, self.gaps)
        return self._values

    def limits(self) -> set[int]:
        """Return the words where a stretch between punctuation, line breaks or matches begins or ends."""
        return {0, *self.text.stretches().ends, *chain.from_iterable(self.gaps)}

    def is_open(self, start: int, end: int) -> bool:
        """Return whether all words from ``start`` to ``end`` stand in one gap."""
        return any(low <= start and end <= high for low, high in self.gaps)

    def is_outside(self, start: int, end: int, since: int) -> bool:
        """Return whether words stood in this text, without a source, before something that is known ``since`` then."""
        return self.first < since and any(low <= start and end <= high for low, high in self.outside)

    def without(self, more: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the gaps that are left when ``more`` is explained, too."""
        taken = [(match.start, match.end) for match in self.matches]
        if more:
            taken = sorted([*taken, *more])
        found: list[tuple[int, int]] = []
        done = 0
        for start, end in taken:
            if start > done:
                found.append((done, start))
            done = end
        if done < len(self.text.numbers):
            found.append((done, len(self.text.numbers)))
        return found


class Stretch(NamedTuple):
    """Words of a text that nothing explains."""

    covered: Covered
    start: int
    end: int

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the words."""
        return tuple(self.covered.text.numbers[self.start : self.end])

    @property
    def text(self) -> str:
        """The words as they stand in the text."""
        return self.covered.text.words(self.start, self.end)


@dataclass(slots=True)
class Explanation:
    """What is known about where a consumer's inputs came from."""

    findings: list[Finding] = field(default_factory=list)
    unknown: dict[str, list[tuple[Covered, list[tuple[int, int]]]]] = field(default_factory=dict)
    """Argument -> its texts with words that have no source among the calls, and where these stand in them."""
    is_whole: bool = True
    """Nothing with content was left unexplained."""

    def stretches(self, argument: str) -> list[Stretch]:
        """Return the words of an argument that have no source among the calls."""
        return [Stretch(covered, *gap) for covered, gaps in self.unknown[argument] for gap in gaps]


@dataclass(slots=True)
class Argument:
    """One argument of one consumer while it is explained."""

    call: Call | None
    name: str
    result: Explanation
    used: dict[object, list[int]] = field(default_factory=dict)
    """Text or short value -> calls that explain an occurrence already: k equal labels go to k different calls."""
    sites: dict[str, str] = field(default_factory=dict)
    """Path of a list -> the site that all short values in it can be from."""
    doubtful: list[Callable[[], None]] = field(default_factory=list)
    """What is left to explain: texts of several calls, of which the one that explains more of the argument is taken."""

    def add(self, source: int, evidence: Evidence, case: str, reason: Reason) -> None:
        """Note one reason for an edge."""
        self.result.findings.append(Finding(source, self.name, evidence, confidence(evidence, case), reason))

    def settle(self) -> None:
        """Explain the texts that several calls put out, now that what only one call put out is known."""
        if self.doubtful:
            doubtful, self.doubtful = self.doubtful, []
            for explain in doubtful:
                explain()

    def served(self) -> set[int]:
        """Return the calls that explain something of this argument."""
        return {item.source for item in self.result.findings if item.argument == self.name}

    def beside(self, path: str) -> set[int]:
        """Return the calls whose text stands in the same object as a leaf."""
        place = parent(path)
        return {
            item.source
            for item in self.result.findings
            if item.argument == self.name and parent(item.reason.path) == place
        }


def parent(path: str) -> str:
    """Return the path of the object or list that a leaf stands in."""
    return path[: max(path.rfind("."), path.rfind("["), 0)]


def labels(calls: list[Call], positions: list[int]) -> tuple[str, ...]:
    """Return the labels of calls."""
    return tuple(calls[position].label for position in positions)
