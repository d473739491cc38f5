"""Texts that had to be pieced together: stretches from earlier texts, then short values in what is left."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import chain
from typing import NamedTuple

from tracediff.capture.records import Ref
from tracediff.graph.calls import Call, last_key, leaves
from tracediff.graph.cover import Match, cover
from tracediff.graph.findings import Argument, Covered, Explanation, Stretch, labels, parent
from tracediff.graph.lines import LONG, Lines
from tracediff.graph.reasons import Reason
from tracediff.graph.scattered import WORDS, Scattered
from tracediff.graph.slots import Constants, Slot, slots
from tracediff.graph.sources import Holder, Piece, Source, Sources
from tracediff.graph.together import RECENT, Together
from tracediff.graph.words import SHINGLE, Text, unescaped

_LINE = "a line of {path} is all of what {owner} put out{at} ({text})"
_ALL = "{path} holds all of what {owner} put out{at} ({text})"
_PART = "{path} holds part of what {owner} put out{at} ({text})"
_MOVED = "{path} holds the words of {owner}{at} in another order ({text})"
_EXCHANGED = "{path} holds the words of {owner}{at} with its letters exchanged ({text})"
_OWN_PLACE = "{path} holds the short value {text} of {owner}{at} in a place of its own"
_WITHIN = "{path} holds the short value {text} of {owner}{at} within a sentence"


class _Value(NamedTuple):
    """A short value of a call, how sure that is, and other calls with the same."""

    piece: Piece
    case: str
    others: list[int]


class Pieces:
    """Explains texts that are no earlier output as a whole."""

    def __init__(self, calls: list[Call], sources: Sources) -> None:
        self.calls = calls
        self.sources = sources
        self._constants = Constants(calls)
        self._scattered = Scattered(sources)
        self._together = Together(calls, sources)
        self._lines = Lines()
        self._covered: dict[str, Covered] = {}
        self._positions = {call.record.id: call.position for call in calls}

    def prepare(self, argument: Argument, found: list[tuple[str, str]]) -> None:
        """Note from which site the short values of each list of an argument are."""
        argument.sites = self._together.by_list(found)

    def compose(self, argument: Argument, path: str, text: str, ref: Ref | None) -> None:
        """Explain one text of an argument: lines and fields that are outputs, then what is left of it as one text.

        What is left is mostly the site's template, the same in each call: it is looked at once.
        """
        sources, rest = self.sources, list[str]()
        now = argument.call.record.start if argument.call is not None else None
        for line in text.split("\n"):
            inner = line.strip(" \t-*")
            source = sources.line(inner) if inner in sources.whole else None
            if source is None:
                value = ""
                if ": " in line:
                    key, _, value = line.partition(": ")
                    source = sources.field(line, value)
                if source is None and now is not None and len(inner) >= LONG:
                    self._lines.note(inner, value, now)
                rest.append(line if source is None else f"{key}:")
            if source is not None:
                if len(source.holders) > 1:
                    argument.doubtful.append(partial(self._line, argument, path, source))
                else:
                    self._line(argument, path, source)
        if rest:
            self._rest(argument, path, "\n".join(rest), ref)

    def _line(self, argument: Argument, path: str, source: Source) -> None:
        holder, others = self.latest(argument, source)
        if holder is not None:
            reason = Reason(_LINE, path, holder.path, source.text, None, labels(self.calls, others))
            argument.add(holder.call, "cover", "full", reason)

    def _rest(self, argument: Argument, path: str, text: str, ref: Ref | None) -> None:
        """Explain a text or some lines of it: find stretches of earlier texts, then the short values between them."""
        covered = self._covered.get(text)
        is_new = covered is None
        if covered is None:
            plain = unescaped(text)
            known = self.sources.words.size
            numbers = self.sources.words.numbers(plain)
            words = Text(plain, numbers)
            first = argument.call.record.start if argument.call is not None else 0
            lines = self._lines if argument.call is not None else None
            covered = Covered(words, cover(self.sources, words, lines), known, first)
            self._covered[text] = covered
        for match in covered.matches:
            if len(match.source.holders) > 1:
                argument.doubtful.append(partial(self._matched, argument, path, match, covered.text))
            elif match.source.holders:
                self._matched(argument, path, match, covered.text)
        gaps = covered.gaps
        if gaps:
            gaps = self._fill(argument, path, covered, ref)
        if gaps:
            argument.result.is_whole = False
            argument.result.unknown.setdefault(argument.name, []).append((covered, gaps))
            if is_new:
                covered.outside = gaps
                for start, end in gaps:
                    self.sources.add_outside(covered.text.numbers[start:end])
                if gaps == [(0, len(covered.text.numbers))] and "\n" not in text:
                    self.sources.outside.add(text.strip())

    def _fill(self, argument: Argument, path: str, covered: Covered, ref: Ref | None) -> list[tuple[int, int]]:
        """Explain short values in the gaps; return the gaps that are left."""
        found = slots(self.sources, covered)
        if covered.outside and argument.call is not None:  # what a container or the run puts out was put out by someone
            found = [slot for slot in found if not self._is_outside(covered, slot)]
        sites = self._together.by_form(found) if len(found) > 1 else {}
        filled = []
        for slot in found:
            site = sites.get(slot.start) or argument.sites.get(parent(path))
            value = self._piece(argument, path, slot, ref, site)
            if value is not None and self._short(argument, path, slot, value):
                filled.append((slot.start, slot.end))
        return covered.without(filled) if filled else covered.gaps

    def _is_outside(self, covered: Covered, slot: Slot) -> bool:
        """Return whether this text had the value, without a source, before any call put it out."""
        known = (
            found[0].holder.since for of in (self.sources.pieces, self.sources.parts) if (found := of.get(slot.key))
        )
        return covered.is_outside(slot.start, slot.end, min(known))

    def trace(self, call: Call, result: Explanation) -> None:
        """Explain long stretches without a source, if their words or letters were only moved."""
        if result.findings and self._scattered.is_vain():
            return
        for name, texts in result.unknown.items():
            argument = Argument(call, name, result)
            for covered, gaps in texts:
                for start, end in gaps:
                    if end - start >= WORDS:
                        self._trace(argument, Stretch(covered, start, end))

    def _trace(self, argument: Argument, stretch: Stretch) -> None:
        covered, place = stretch.covered, (stretch.start, stretch.end)
        if place not in covered.traces:
            covered.traces[place] = self._scattered.find(stretch)
        found = covered.traces[place]
        if found is None:
            return
        holder, others = self.latest(argument, found.source)
        if holder is not None:
            form = _EXCHANGED if found.is_exchanged else _MOVED
            reason = Reason(form, argument.name, holder.path, stretch.text, None, labels(self.calls, others))
            argument.add(holder.call, "cover", "moved", reason)

    def _matched(self, argument: Argument, path: str, match: Match, text: Text) -> None:
        holder, others = self.latest(argument, match.source)
        if holder is None:
            return
        case = "full" if match.is_full else "long" if text.worth(match.start, match.end) >= 3 * SHINGLE else "partial"
        form, part = (_ALL, None) if match.is_full else (_PART, (match.at, match.at + match.length))
        reason = Reason(form, path, holder.path, match.source.text, part, labels(self.calls, others))
        argument.add(holder.call, "cover", case, reason)

    def _short(self, argument: Argument, path: str, slot: Slot, value: _Value) -> bool:
        """Note where a short value came from; return False for what only looks like one."""
        piece, case, others = value
        if self._is_setting(argument, slot, piece):
            return False
        holder = piece.holder
        if not slot.is_delimited and slot.value.islower() and not self._is_answer(holder):
            return False
        argument.used.setdefault(slot.key, []).append(holder.call)
        form = _OWN_PLACE if slot.is_delimited else _WITHIN
        reason = Reason(form, path, holder.path, slot.value, None, labels(self.calls, others))
        argument.add(holder.call, "slot", case, reason)
        return True

    def _is_answer(self, holder: Holder) -> bool:
        """Return whether a word is a model's or a field's, not the "done" of a tool that many a sentence has."""
        return bool(holder.path) or self.calls[holder.call].record.kind == "llm"

    def _is_setting(self, argument: Argument, slot: Slot, piece: Piece) -> bool:
        """Return whether a short value is a constant of the site's template, or a setting older than any source."""
        if argument.call is None or not self._constants.has(argument.call, argument.name, slot.line):
            return False
        if not slot.is_all:
            return True
        known = self.sources.pieces.get(slot.key) if piece.is_whole else self.sources.parts.get(slot.key, [])
        return not known or known[0].holder.since > self._constants.first(argument.call).record.start

    def _piece(self, argument: Argument, path: str, slot: Slot, ref: Ref | None, site: str | None) -> _Value | None:
        """Return the call a short value is taken from: the one referred to, one of a site, the latest not used yet."""
        used = argument.used.get(slot.key, [])
        whole = self.sources.pieces.get(slot.key, [])
        if slot.is_all and whole:
            named = self._positions.get(ref.source, -1) if ref is not None else -1
            beside = argument.beside(path) if "." in path else ()
            for piece in reversed(whole[-RECENT:]):
                call = piece.holder.call
                if (call == named and call not in used) or (
                    call in beside and last_key(piece.holder.path) == last_key(path)
                ):
                    return _Value(piece, "new", [])
        parts = self.sources.parts.get(slot.key, [])
        choices = [(found, item) for found in (whole, parts) if (item := _unused(found, used)) is not None]
        if site is not None and (item := self._of_site(site, whole, parts, used)) is not None:
            choices.insert(0, (whole if item.is_whole else parts, item))
        for pieces, piece in choices:
            recent = dict.fromkeys(item.holder.call for item in pieces[-8:])
            calls = [call for call in recent if call != piece.holder.call]
            if not piece.is_whole:
                is_in_row = self.calls[piece.holder.call].record.name == site
                if slot.is_key or not (slot.is_apart or is_in_row):
                    return None
                return _Value(piece, "part", calls[-3:])
            if slot.is_key and not piece.is_new:
                return None
            case = "new" if piece.is_new else "whole"
            if not slot.is_delimited:
                case = "name"
            elif any(other not in used for other in calls):
                case = "several"
            return _Value(piece, case, calls[-3:])
        return None

    def _of_site(self, site: str, whole: list[Piece], parts: list[Piece], used: list[int]) -> Piece | None:
        """Return the latest value of a site not used yet, else one that the output of its call holds once more."""
        mine = [
            [item for item in pieces[-RECENT:] if self.calls[item.holder.call].record.name == site]
            for pieces in (whole, parts)
        ]
        for pieces in mine:
            if (item := _unused(pieces, used)) is not None:
                return item
        room = Counter(item.holder.call for pieces in mine for item in pieces)
        for item in chain(*mine):
            if not item.is_whole or used.count(item.holder.call) < room[item.holder.call]:
                return item
        return None

    def latest(self, argument: Argument, source: Source) -> tuple[Holder | None, list[int]]:
        """Return the most recent holder that explains no equal text of this argument yet, and the other calls."""
        holders = source.holders
        if not holders:
            return None, []
        used = argument.used.setdefault(source.text, [])
        best = holders[-1]
        if len(holders) == 1:
            used.append(best.call)
            return best, []
        if best.call in used:
            best = next((holder for holder in reversed(holders) if holder.call not in used), best)
        best = self._fewer(argument, source, best, used)
        used.append(best.call)
        return best, list(dict.fromkeys(holder.call for holder in holders[-4:] if holder.call != best.call))

    def _fewer(self, argument: Argument, source: Source, latest: Holder, used: list[int]) -> Holder:
        """Return the holder of a text that explains more of the argument, unless the latest one handed the text on."""
        served = argument.served()
        if not served or latest.call in served:
            return latest
        for holder in reversed(source.holders[-RECENT:]):
            if holder.call in served and holder.call not in used:
                return latest if _was_given(self.calls[latest.call], source.text) else holder
        return latest


def _unused(pieces: list[Piece], used: list[int]) -> Piece | None:
    return next((item for item in reversed(pieces) if item.holder.call not in used), None)


def _was_given(call: Call, text: str) -> bool:
    """Return whether a call had a text in its inputs."""
    return any(
        isinstance(leaf, str) and text in leaf
        for name, value in call.record.inputs.items()
        for _, leaf in leaves(value, name)
    )
