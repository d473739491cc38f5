"""What explaining an input leaves behind: findings, stretches without a source, texts that were pieced together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tracediff.graph.calls import Call
from tracediff.graph.confidence import Evidence, confidence
from tracediff.graph.cover import Match
from tracediff.graph.words import Spans, spans

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason for an edge: a piece of ``source``'s output in an argument of the consumer."""

    source: int
    argument: str
    evidence: Evidence
    confidence: float
    detail: str


@dataclass(slots=True)
class Covered:
    """A text that had to be pieced together, kept for the next consumer of the same text."""

    plain: str
    numbers: list[int]
    matches: list[Match]
    known: int = 0
    """Words of the run when this text came up: a word with this number or a higher one was new."""
    _places: Spans | None = None

    def gaps(self) -> list[tuple[int, int]]:
        """Return (start, end) of what no match covers."""
        found: list[tuple[int, int]] = []
        done = 0
        for match in self.matches:
            if match.start > done:
                found.append((done, match.start))
            done = match.end
        if done < len(self.numbers):
            found.append((done, len(self.numbers)))
        return found

    def places(self) -> Spans:
        """Return where its words stand, made on first use."""
        if self._places is None:
            self._places = spans(self.plain)
        return self._places

    def words(self, start: int, end: int) -> str:
        """Return the text from one word to another."""
        places = self.places()
        return self.plain[places.starts[start] : places.ends[end - 1]]


class Stretch(NamedTuple):
    """Words of a text that nothing explains."""

    covered: Covered
    start: int
    end: int

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the words."""
        return tuple(self.covered.numbers[self.start : self.end])

    @property
    def text(self) -> str:
        """The words as they stand in the text."""
        return self.covered.words(self.start, self.end)


@dataclass(slots=True)
class Explanation:
    """What is known about where a consumer's inputs came from."""

    findings: list[Finding] = field(default_factory=list)
    unknown: dict[str, list[Stretch]] = field(default_factory=dict)
    """Argument -> stretches of text with no source among the calls."""
    is_whole: bool = True
    """Nothing with content was left unexplained."""


@dataclass(slots=True)
class Argument:
    """One argument of one consumer while it is explained."""

    call: Call | None
    name: str
    result: Explanation
    used: dict[object, list[int]] = field(default_factory=dict)
    """Text or short value -> calls that explain an occurrence already: k equal labels go to k different calls."""
    places: dict[str, list[int]] = field(default_factory=dict)
    """Path of an enclosing object -> calls whose text stands in it."""

    def add(self, path: str, source: int, evidence: Evidence, case: str, detail: str) -> None:
        """Note one reason for an edge."""
        self.places.setdefault(parent(path), []).append(source)
        self.result.findings.append(Finding(source, self.name, evidence, confidence(evidence, case), detail))


def parent(path: str) -> str:
    """Return the path of the object or list that a leaf stands in."""
    return path[: max(path.rfind("."), path.rfind("["), 0)]


def rejected(calls: list[Call], others: list[int]) -> str:
    """Return the end of a detail that names what else could have been the source."""
    return "; rejected as earlier: " + ", ".join(calls[other].label for other in others) if others else ""


def at(path: str) -> str:
    """Return where in an output, in words."""
    return f" at {path}" if path else ""


def shown(text: str) -> str:
    """Return the beginning of a text on one line, quoted."""
    line = " ".join(text[: 2 * _SHOWN].split())
    return repr(line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…")
