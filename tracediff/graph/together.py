"""Short values that stand in a row, such as the labels of a vote: one loop put them there, so one site wrote them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from tracediff.graph.calls import Call
from tracediff.graph.findings import parent
from tracediff.graph.slots import Slot
from tracediff.graph.sources import Sources
from tracediff.graph.words import SHINGLE, unescaped

RECENT = 64
"""How many equal values are looked through for the one referred to."""
_DIGITS = re.compile(r"\d+")


class Together:
    """Finds the site that all short values in a row can be from."""

    def __init__(self, calls: list[Call], sources: Sources) -> None:
        self.calls = calls
        self.sources = sources

    def by_form(self, found: list[Slot]) -> dict[int, str]:
        """Return the site by each slot's place, for slots on one line or on lines that are alike but for the value."""
        rows: dict[str, list[Slot]] = {}
        values = sorted({slot.value for slot in found}, key=len, reverse=True)
        for slot in found:
            form = slot.line
            for value in values:
                form = form.replace(value, "\0")
            rows.setdefault(_DIGITS.sub("#", form), []).append(slot)
        sites: dict[int, str] = {}
        for row in rows.values():
            site = self._site([slot.key for slot in row]) if len(row) > 1 else None
            if site is not None:
                sites.update((slot.start, site) for slot in row)
        return sites

    def by_list(self, found: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return the site by the path of each list of short values."""
        rows: dict[str, list[tuple[int, ...]]] = {}
        for path, leaf in found:
            if path.endswith("]") and leaf.count(" ") < SHINGLE:
                rows.setdefault(parent(path), []).append(tuple(self.sources.words.numbers(unescaped(leaf))))
        sites = {place: self._site(keys) for place, keys in rows.items() if len(keys) > 1}
        return {place: site for place, site in sites.items() if site is not None}

    def _site(self, keys: list[tuple[int, ...]]) -> str | None:
        """Return the one site that could have put out all of these values."""
        served: Counter[str] = Counter()
        whole: Counter[str] = Counter()
        for key, count in Counter(keys).items():
            wholes = {self.calls[item.holder.call].record.name for item in self.sources.pieces.get(key, ())[-RECENT:]}
            parts = {self.calls[item.holder.call].record.name for item in self.sources.parts.get(key, ())[-RECENT:]}
            served.update(dict.fromkeys(wholes | parts, count))
            whole.update(dict.fromkeys(wholes, count))
        full = [site for site, count in served.items() if count == len(keys)]
        return max(full, key=lambda site: whole[site]) if full else None
