"""Texts that had to be pieced together: stretches from earlier texts, then short values in what is left."""

from __future__ import annotations

from tracediff.capture.records import Ref
from tracediff.graph.calls import Call, last_key
from tracediff.graph.cover import Match, cover
from tracediff.graph.findings import Argument, Covered, Explanation, Stretch, at, parent, rejected, shown
from tracediff.graph.scattered import Scattered
from tracediff.graph.slots import Constants, Slot, slots, starts
from tracediff.graph.sources import SHINGLE, Holder, Piece, Source, Sources
from tracediff.graph.words import unescaped

RECENT = 64
"""How many equal values are looked through for the one referred to."""


class Pieces:
    """Explains texts that are no earlier output as a whole."""

    def __init__(self, calls: list[Call], sources: Sources) -> None:
        self.calls = calls
        self.sources = sources
        self._constants = Constants(calls)
        self._scattered = Scattered(sources)
        self._covered: dict[str, Covered] = {}
        self._positions = {call.record.id: call.position for call in calls}

    def compose(self, argument: Argument, path: str, text: str, ref: Ref | None) -> None:
        """Explain one text of an argument: lines that are outputs, then the blocks between them."""
        if "\n" not in text:
            self._block(argument, path, text, ref)
            return
        block: list[str] = []
        for line in text.split("\n"):
            source = self.sources.line(line.strip(" \t-*"))
            if source is None:
                block.append(line)
                continue
            if block:
                self._block(argument, path, "\n".join(block), ref)
                block = []
            self._line(argument, path, source)
        if block:
            self._block(argument, path, "\n".join(block), ref)

    def _line(self, argument: Argument, path: str, source: Source) -> None:
        holder, others = self.latest(argument, source)
        if holder is not None:
            owner = self.calls[holder.call].label
            detail = f"a line of {path} is all of what {owner} put out{at(holder.path)} ({shown(source.text)})"
            argument.add(path, holder.call, "cover", "full", detail + rejected(self.calls, others))

    def _block(self, argument: Argument, path: str, text: str, ref: Ref | None) -> None:
        """Explain a text or some lines of it: find stretches of earlier texts, then the short values between them."""
        covered = self._covered.get(text)
        is_new = covered is None
        if covered is None:
            plain = unescaped(text)
            known = self.sources.words.size
            numbers = self.sources.words.numbers(plain)
            covered = Covered(plain, numbers, cover(self.sources, plain, numbers), known)
            if len(numbers) >= SHINGLE:
                self._covered[text] = covered
        for match in covered.matches:
            if match.source.holders:
                self._matched(argument, path, covered, match)
        gaps = covered.gaps()
        if not gaps:
            return
        if starts(self.sources, covered.numbers, gaps):
            gaps = self._fill(argument, path, covered, ref)
        if gaps:
            argument.result.is_whole = False
            argument.result.unknown.setdefault(argument.name, []).extend(Stretch(covered, *gap) for gap in gaps)
            if is_new:
                for start, end in gaps:
                    self.sources.add_outside(covered.numbers[start:end])

    def _fill(self, argument: Argument, path: str, covered: Covered, ref: Ref | None) -> list[tuple[int, int]]:
        """Explain short values in the gaps; return the gaps that are left."""
        free = [False] * len(covered.numbers)
        for start, end in covered.gaps():
            free[start:end] = [True] * (end - start)
        for slot in slots(self.sources, covered.plain, covered.numbers, covered.places(), free):
            if self._short(argument, path, covered.words(slot.start, slot.end), slot, ref):
                free[slot.start : slot.end] = [False] * len(slot.key)
        return _runs(free)

    def trace(self, call: Call, result: Explanation) -> None:
        """Explain what a call without any known source was given, if its words or letters were only moved."""
        for name, stretches in result.unknown.items():
            argument = Argument(call, name, result)
            for stretch in stretches:
                found = self._scattered.find(stretch)
                if found is None:
                    continue
                holder, others = self.latest(argument, found.source)
                if holder is not None:
                    owner = self.calls[holder.call].label
                    detail = f"{name} holds the words of {owner}{at(holder.path)} {found.how} ({shown(stretch.text)})"
                    argument.add(name, holder.call, "cover", "moved", detail + rejected(self.calls, others))

    def _matched(self, argument: Argument, path: str, covered: Covered, match: Match) -> None:
        holder, others = self.latest(argument, match.source)
        if holder is None:
            return
        case = "full" if match.is_full else "long" if match.length >= 3 * SHINGLE else "partial"
        how = "all" if match.is_full else "part"
        quoted = shown(match.source.text if match.is_full else covered.words(match.start, match.end))
        detail = f"{path} holds {how} of what {self.calls[holder.call].label} put out{at(holder.path)} ({quoted})"
        argument.add(path, holder.call, "cover", case, detail + rejected(self.calls, others))

    def _short(self, argument: Argument, path: str, value: str, slot: Slot, ref: Ref | None) -> bool:
        """Explain one short value; return whether a call is found that it came from."""
        piece, case, others = self._piece(argument, path, slot, ref)
        if piece is None or self._is_setting(argument, slot, piece):
            return False
        holder = piece.holder
        argument.used.setdefault(slot.key, []).append(holder.call)
        where = "in a place of its own" if slot.is_delimited else "within a sentence"
        owner = self.calls[holder.call].label
        detail = f"{path} holds the short value {shown(value)} of {owner}{at(holder.path)} {where}"
        argument.add(path, holder.call, "slot", case, detail + rejected(self.calls, others))
        return True

    def _is_setting(self, argument: Argument, slot: Slot, piece: Piece) -> bool:
        """Return whether a short value is a constant of the site's template, or a setting older than any source."""
        if argument.call is None or not self._constants.has(argument.call, argument.name, slot.line):
            return False
        if not slot.is_all:
            return True
        known = self.sources.pieces.get(slot.key) if piece.is_whole else self.sources.parts(slot.key)
        return not known or known[0].holder.since > self._constants.first(argument.call).record.start

    def _piece(self, argument: Argument, path: str, slot: Slot, ref: Ref | None) -> tuple[Piece | None, str, list[int]]:
        """Return the call a short value is taken from: the one referred to, else the latest not used yet."""
        used = argument.used.get(slot.key, [])
        whole = self.sources.pieces.get(slot.key, [])
        if slot.is_all and whole:
            named = self._positions.get(ref.source, -1) if ref is not None else -1
            beside = argument.places.get(parent(path), []) if "." in path else []
            for piece in reversed(whole[-RECENT:]):
                call = piece.holder.call
                if (call == named and call not in used) or (
                    call in beside and last_key(piece.holder.path) == last_key(path)
                ):
                    return piece, "new", []
        for pieces in (whole, self.sources.parts(slot.key)):
            found = next((item for item in reversed(pieces) if item.holder.call not in used), None)
            if found is None:
                continue
            piece = found
            recent = dict.fromkeys(item.holder.call for item in pieces[-8:])
            calls = [call for call in recent if call != piece.holder.call]
            if not piece.is_whole:
                if slot.is_key or not slot.is_apart:
                    return None, "", []
                return piece, "part", calls[-3:]
            if slot.is_key and not piece.is_new:
                return None, "", []
            case = "new" if piece.is_new else "whole"
            if not slot.is_delimited:
                case = "name"
            elif any(other not in used for other in calls):
                case = "several"
            return piece, case, calls[-3:]
        return None, "", []

    def latest(self, argument: Argument, source: Source) -> tuple[Holder | None, list[int]]:
        """Return the most recent holder that explains no equal text of this argument yet, and the other calls."""
        holders = source.holders
        if not holders:
            return None, []
        used = argument.used.setdefault(source.text, [])
        best = holders[-1]
        if len(holders) > 1 and best.call in used:
            best = next((holder for holder in reversed(holders) if holder.call not in used), best)
        used.append(best.call)
        if len(holders) == 1:
            return best, []
        return best, list(dict.fromkeys(holder.call for holder in holders[-4:] if holder.call != best.call))


def _runs(free: list[bool]) -> list[tuple[int, int]]:
    """Return (start, end) of the stretches that are still free."""
    found: list[tuple[int, int]] = []
    start: int | None = None
    for position, is_free in enumerate([*free, False]):
        if is_free and start is None:
            start = position
        elif not is_free and start is not None:
            found.append((start, position))
            start = None
    return found
