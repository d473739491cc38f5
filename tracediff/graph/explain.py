"""Which earlier outputs stand in an input: references, exact leaves, cover, short slots, in this order of strength."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tracediff.capture.records import Ref
from tracediff.capture.values import Value
from tracediff.graph.calls import IDS, LABELS, Call, Scalar, is_inside, last_key, leaves
from tracediff.graph.confidence import Evidence, confidence
from tracediff.graph.cover import Match, cover
from tracediff.graph.slots import Constants, Slot, slots, starts
from tracediff.graph.sources import SHINGLE, Holder, Piece, Source, Sources
from tracediff.graph.words import Spans, Vocabulary, spans, unescaped
from tracediff.parameters import split

_SHOWN = 60
_RECENT = 64
"""How many equal values are looked through for the one referred to."""


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
    _places: Spans | None = None

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
class _Argument:
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
        self.places.setdefault(_parent(path), []).append(source)
        self.result.findings.append(Finding(source, self.name, evidence, confidence(evidence, case), detail))


class Explainer:
    """Explains inputs of calls in order of time, from the outputs noted so far."""

    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls
        self.sources = Sources(Vocabulary())
        self._constants = Constants(calls)
        self._covered: dict[str, Covered] = {}
        self._ids: dict[str, Holder] = {}
        self._positions = {call.record.id: call.position for call in calls}

    def note(self, call: Call, found: Iterable[tuple[str, Scalar]], since: int) -> None:
        """Note leaves of a call's output as sources for what comes later."""
        parameter = call.record.parameter
        literals = None
        if parameter is not None and parameter.variables:
            literals = tuple(literal for literal, _ in split(parameter.text, parameter.variables))
        for path, value in found:
            if isinstance(value, bool):
                continue
            text = value if isinstance(value, str) else str(value)
            key = last_key(path)
            if key in IDS:
                self._ids[text] = Holder(call.position, path, since)
            elif key not in LABELS or text.count(" ") >= SHINGLE:
                self.sources.add(text, Holder(call.position, path, since), literals)

    def explain(self, call: Call | None, inputs: Mapping[str, Value], refs: Mapping[str, Ref]) -> Explanation:
        """Return where each leaf of ``inputs`` came from; ``call`` is None for the run's final output."""
        result = Explanation()
        open_refs = refs
        for name, value in inputs.items():
            argument = _Argument(call, name, result)
            found = leaves(value, name)
            around = self._around(argument, open_refs, found) if open_refs else []
            later: list[tuple[str, Scalar, Ref | None]] = []
            for path, leaf in found:
                ref = open_refs.get(path) if open_refs else None
                if isinstance(leaf, bool) or (around and self._in_object(argument, path, leaf, around)):
                    continue
                if isinstance(leaf, str) and (len(leaf) > _SHOWN or len(found) == 1):
                    self._leaf(argument, path, leaf, ref)
                else:
                    later.append((path, leaf, ref))
            for path, leaf, ref in later:  # short values last: what stands beside them tells where they are from
                self._leaf(argument, path, leaf, ref)
        return result

    # -- references ----------------------------------------------------------------------------------------------

    def _around(
        self, argument: _Argument, refs: Mapping[str, Ref], found: list[tuple[str, Scalar]]
    ) -> list[tuple[str, int]]:
        """Return (path, source) of the lists and objects that were handed over whole, innermost first."""
        scalars = {path for path, _ in found}
        around: list[tuple[str, int]] = []
        for path, ref in refs.items():
            if path in scalars or not _is_at(path, argument.name):
                continue
            source = self.owner(argument.call, ref, None)
            if source is None:
                continue
            if ref.producers == 1 and any(_is_at(other, path) for other in scalars):
                around.append((path, source))
            elif not any(_is_at(other, path) for other in scalars):  # an opaque object, with nothing to read
                detail = f"{path} is the very object that {self._label(source)} put out{_at(ref.source_path)}"
                argument.add(path, source, "identity", "only" if ref.producers == 1 else "latest", detail)
        return sorted(around, key=lambda item: -len(item[0]))

    def _in_object(self, argument: _Argument, path: str, leaf: Scalar, around: list[tuple[str, int]]) -> bool:
        """Explain a leaf by the object it stands in, if that object's source put it out; the program may have added it."""
        known = self.sources.whole.get(str(leaf).strip())
        if known is None:
            return False
        for place, source in around:
            if _is_at(path, place) and any(item.call == source for item in reversed(known.holders[-_RECENT:])):
                detail = f"{place} is the very object that {self._label(source)} put out, with {_shown(str(leaf))} in it"
                argument.add(path, source, "identity", "only", detail)
                argument.used.setdefault(known.text, []).append(source)
                return True
        return False

    def owner(self, call: Call | None, ref: Ref, text: str | None) -> int | None:
        """Return the call whose own output a reference points at: a structure only handed it through."""
        position = self._positions.get(ref.source)
        if position is None:
            return None
        source = self.calls[position]
        if call is not None and (is_inside(self.calls, call.position, position) or source.record.start > call.record.start):
            return None
        if not source.is_passing and (not source.children or source.is_own):
            return position
        known = self.sources.whole.get(text) if text is not None else None
        if known is None or not known.holders:
            return None
        recent = known.holders[-_RECENT:]
        inside = next((item for item in reversed(recent) if is_inside(self.calls, item.call, position)), recent[-1])
        return inside.call

    # -- leaves --------------------------------------------------------------------------------------------------

    def _leaf(self, argument: _Argument, path: str, leaf: Scalar, ref: Ref | None) -> None:
        text = leaf.strip() if isinstance(leaf, str) else str(leaf)
        if not text:
            return
        key = last_key(path)
        if key in IDS:
            holder = self._ids.get(text)
            if holder is not None:
                detail = f"{path} is the id {_shown(text)} that {self._label(holder.call)} gave{_at(holder.path)}"
                argument.add(path, holder.call, "id", "only", detail)
            return
        if key in LABELS and text.count(" ") < SHINGLE:
            return
        if ref is not None and not _is_identifier(text):
            source = self.owner(argument.call, ref, text)
            if source is not None and (ref.producers == 1 or text.count(" ") >= SHINGLE):
                case = "only" if ref.producers == 1 else "latest"
                detail = f"{path} is the very object that {self._label(source)} put out{_at(ref.source_path)} ({_shown(text)})"
                argument.add(path, source, "identity", case, detail)
                argument.used.setdefault(text, []).append(source)
                return
        known = self.sources.whole.get(text)
        if known is not None and known.start >= 0:
            self._exact(argument, path, known)
        else:
            self._compose(argument, path, text, ref)

    def _exact(self, argument: _Argument, path: str, source: Source) -> None:
        holder, others = self._latest(argument, source)
        if holder is None:
            argument.result.is_whole = False
            return
        detail = f"{path} equals what {self._label(holder.call)} put out{_at(holder.path)} ({_shown(source.text)})"
        argument.add(path, holder.call, "leaf", "latest" if others else "only", detail + self._rejected(others))

    def _latest(self, argument: _Argument, source: Source) -> tuple[Holder | None, list[int]]:
        """Return the most recent holder that explains no equal text of this argument yet, and the other calls."""
        used = argument.used.setdefault(source.text, [])
        best: Holder | None = None
        for holder in reversed(source.holders):
            if best is None or holder.call not in used:
                best = holder
                if holder.call not in used:
                    break
        if best is None:
            return None, []
        used.append(best.call)
        return best, list(dict.fromkeys(holder.call for holder in source.holders[-4:] if holder.call != best.call))

    # -- texts that are pieced together --------------------------------------------------------------------------

    def _compose(self, argument: _Argument, path: str, text: str, ref: Ref | None) -> None:
        covered = self._covered.get(text)
        is_new = covered is None
        if covered is None:
            plain = unescaped(text)
            numbers = self.sources.words.numbers(plain)
            covered = Covered(plain, numbers, cover(self.sources, text, numbers))
            if len(numbers) >= SHINGLE:
                self._covered[text] = covered
        free = [True] * len(covered.numbers)
        for match in covered.matches:
            free[match.start : match.end] = [False] * match.length
            if match.source.holders:
                self._matched(argument, path, covered, match)
        if not any(free):
            return
        found: list[Slot] = []
        if starts(self.sources, covered.numbers, free):
            found = slots(self.sources, covered.plain, covered.numbers, covered.places(), free)
        for slot in found:
            self._short(argument, path, covered, slot, free, ref)
        rest = _runs(free)
        if rest:
            argument.result.is_whole = False
            argument.result.unknown.setdefault(argument.name, []).extend(Stretch(covered, *run) for run in rest)
        if is_new:
            for start, end in rest:
                self.sources.add_outside(text, covered.numbers[start:end])

    def _matched(self, argument: _Argument, path: str, covered: Covered, match: Match) -> None:
        holder, others = self._latest(argument, match.source)
        if holder is None:
            return
        case = "full" if match.is_full else "long" if match.length >= 3 * SHINGLE else "partial"
        how = "all" if match.is_full else "part"
        quoted = _shown(match.source.text if match.is_full else covered.words(match.start, match.end))
        detail = f"{path} holds {how} of what {self._label(holder.call)} put out{_at(holder.path)} ({quoted})"
        argument.add(path, holder.call, "cover", case, detail + self._rejected(others))

    def _short(
        self, argument: _Argument, path: str, covered: Covered, slot: Slot, free: list[bool], ref: Ref | None
    ) -> None:
        piece, case, others = self._piece(argument, path, slot, ref)
        if piece is None or self._is_setting(argument, slot, piece):
            return
        argument.used.setdefault(slot.key, []).append(piece.holder.call)
        end = slot.start + len(slot.key)
        free[slot.start : end] = [False] * len(slot.key)
        where = "in a place of its own" if slot.is_delimited else "within a sentence"
        detail = (
            f"{path} holds the short value {_shown(covered.words(slot.start, end))} "
            f"of {self._label(piece.holder.call)}{_at(piece.holder.path)} {where}"
        )
        argument.add(path, piece.holder.call, "slot", case, detail + self._rejected(others))

    def _is_setting(self, argument: _Argument, slot: Slot, piece: Piece) -> bool:
        """Return whether a short value is a constant of the site's template, or a setting older than any source."""
        if argument.call is None or not self._constants.has(argument.call, argument.name, slot.line):
            return False
        if not slot.is_all:
            return True
        known = self.sources.pieces.get(slot.key) if piece.is_whole else self.sources.parts(slot.key)
        return not known or known[0].holder.since > self._constants.first(argument.call).record.start

    def _piece(
        self, argument: _Argument, path: str, slot: Slot, ref: Ref | None
    ) -> tuple[Piece | None, str, list[int]]:
        """Return the call a short value is taken from: the one referred to, else the latest not used yet."""
        used = argument.used.get(slot.key, [])
        whole = self.sources.pieces.get(slot.key, [])
        if slot.is_all and whole:
            named = self._positions.get(ref.source, -1) if ref is not None else -1
            beside = argument.places.get(_parent(path), []) if "." in path else []
            for piece in reversed(whole[-_RECENT:]):
                call = piece.holder.call
                if (call == named and call not in used) or (call in beside and last_key(piece.holder.path) == last_key(path)):
                    return piece, "new", []
        for pieces in (whole, self.sources.parts(slot.key)):
            piece = next((item for item in reversed(pieces) if item.holder.call not in used), None)
            if piece is None:
                continue
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

    # -- words for people ----------------------------------------------------------------------------------------

    def _label(self, position: int) -> str:
        call = self.calls[position]
        return f"{call.record.name}#{call.index}"

    def _rejected(self, others: list[int]) -> str:
        return "; rejected as earlier: " + ", ".join(map(self._label, others)) if others else ""


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


def _parent(path: str) -> str:
    """Return the path of the object or list that a leaf stands in."""
    return path[: max(path.rfind("."), path.rfind("["), 0)]


def _is_at(path: str, place: str) -> bool:
    """Return whether a path is at or below a place."""
    return path.startswith(place) and path[len(place) : len(place) + 1] in ("", ".", "[")


def _is_identifier(text: str) -> bool:
    """Return whether CPython may share this string between unrelated places: it interns such constants."""
    return text.isascii() and text.replace("_", "a").isalnum()


def _at(path: str) -> str:
    return f" at {path}" if path else ""


def _shown(text: str) -> str:
    line = " ".join(text[: 4 * _SHOWN].split())
    return repr(line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…")
