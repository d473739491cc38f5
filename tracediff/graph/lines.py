"""Lines of inputs and when they came up: a model that restates one is not where its later uses are from."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from tracediff.graph.sources import Source
from tracediff.graph.words import Text, unescaped

LONG = 30
"""Characters that a line needs to be known again."""
_MARKS = " \t-*"
_KEY = re.compile(r"(?:^|[{,(])[\s*-]*[\"']?[\w ]{0,30}[\"'*]*\s*[:=]\s*[\"'`]?\Z|^[\s>*\"'`-]*\Z")
_END = re.compile(r"\W*\Z|[.!?]?[\"'`]\s*[,}\])]")


class Line(NamedTuple):
    """The line of some words."""

    since: int
    """Sequence number of the call that had it first."""
    is_all: bool
    """The words are all of it, or all behind its key."""


class Lines:
    """The long lines that inputs had so far, without those that are an output."""

    def __init__(self) -> None:
        self._since: dict[int, int] = {}
        self.first = sys.maxsize
        """Sequence number of the first of them."""

    def note(self, line: str, value: str, now: int) -> None:
        """Note a line of ``LONG`` characters at least, stripped of its marks, and what stands behind its key."""
        self.first = min(self.first, now)
        self._since.setdefault(hash(line), now)
        if len(value) >= LONG:
            self._since.setdefault(hash(value.strip()), now)

    def at(self, text: Text, start: int, end: int) -> Line:
        """Return the line that some words of a text stand in."""
        low, high = text.place(start, end)
        begin = text.plain.rfind("\n", 0, low) + 1
        stop = text.plain.find("\n", low)
        line = text.plain[begin : stop if stop >= 0 else len(text.plain)]
        if stop >= 0 and high > stop:
            return Line(sys.maxsize, is_all=False)
        before, after = line[: low - begin], line[high - begin :]
        is_all = _KEY.search(before) is not None and _END.match(after) is not None
        whole = line.strip(_MARKS)
        found = [self._since.get(hash(whole))]
        key, _, value = line.partition(": ")
        if value and begin + len(key) < low:
            found.append(self._since.get(hash(value.strip())))
        return Line(min((since for since in found if since is not None), default=sys.maxsize), is_all)


def stands_alone(source: Source, at: int, length: int) -> bool:
    """Return whether some words of an output are a line or a field of it, and not within what else it says."""
    text, places = unescaped(source.text), source.spans()
    low, high = places.starts[at], places.ends[at + length - 1]
    before = text[text.rfind("\n", 0, low) + 1 : low]
    stop = text.find("\n", high)
    after = text[high : stop if stop >= 0 else len(text)]
    return _KEY.search(before) is not None and _END.match(after) is not None
