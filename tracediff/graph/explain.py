"""Which earlier outputs stand in an input: references, exact leaves, cover, short slots, in this order of strength."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tracediff.capture.records import Ref
from tracediff.capture.values import Value
from tracediff.graph.calls import IDS, LABELS, Call, Scalar, is_inside, last_key, leaves
from tracediff.graph.confidence import Evidence, confidence
from tracediff.graph.cover import Match, cover
from tracediff.graph.slots import Constants, pick, slots
from tracediff.graph.sources import SHINGLE, Holder, Piece, Source, Sources
from tracediff.graph.words import Vocabulary, spans, unescaped

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
class Explanation:
    """What is known about where a consumer's inputs came from."""

    findings: list[Finding] = field(default_factory=list)
    unknown: dict[str, list[str]] = field(default_factory=dict)
    """Argument -> stretches of text with no source among the calls."""
    is_whole: bool = True
    """Nothing with content was left unexplained."""


@dataclass(slots=True)
class _Covered:
    """A text that had to be pieced together, kept for the next consumer of the same text."""

    text: str
    numbers: list[int]
    matches: list[Match]


class Explainer:
    """Explains inputs of calls in order of time, from the outputs noted so far."""

    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls
        self.sources = Sources(Vocabulary())
        self._constants = Constants(calls)
        self._covered: dict[str, _Covered] = {}
        self._ids: dict[str, Holder] = {}
        self._positions = {call.record.id: call.position for call in calls}

    # -- outputs -------------------------------------------------------------------------------------------------

    def note(self, call: Call, found: Iterable[tuple[str, Scalar]]) -> None:
        """Note the leaves of a call's output as sources for what comes later."""
        since = call.record.end
        for path, value in found:
            if isinstance(value, bool):
                continue
            text = value if isinstance(value, str) else str(value)
            key = last_key(path)
            if key in IDS:
                self._ids[text] = Holder(call.position, path, since)
            elif key not in LABELS or text.count(" ") >= SHINGLE:
                self.sources.add(text, Holder(call.position, path, since))

    # -- inputs --------------------------------------------------------------------------------------------------

    def explain(self, call: Call | None, inputs: Mapping[str, Value], refs: Mapping[str, Ref]) -> Explanation:
        """Return where each leaf of ``inputs`` came from; ``call`` is None for the run's final output."""
        result = Explanation()
        open_refs = dict(refs)
        for argument, value in inputs.items():
            used: dict[object, list[int]] = {}
            for path, leaf in leaves(value, argument):
                ref = open_refs.pop(path, None)
                if isinstance(leaf, bool):
                    continue
                self._leaf(call, argument, path, leaf, ref, used, result)
        for path, ref in open_refs.items():
            source = self._owner(call, ref, None)
            if source is not None:
                argument = path.split(".", 1)[0].split("[", 1)[0]
                detail = (
                    f"the object at {path} is what {self._label(source)} put out at {ref.source_path or 'its output'}"
                )
                result.findings.append(Finding(source, argument, "identity", confidence("identity", "only"), detail))
        return result

    def _leaf(
        self,
        call: Call | None,
        argument: str,
        path: str,
        leaf: Scalar,
        ref: Ref | None,
        used: dict[object, list[int]],
        result: Explanation,
    ) -> None:
        text = leaf.strip() if isinstance(leaf, str) else str(leaf)
        if not text:
            return
        key = last_key(path)
        if key in IDS:
            self._identifier(call, argument, path, text, result)
            return
        if key in LABELS and text.count(" ") < SHINGLE:
            return
        if ref is not None and not _is_identifier(text):
            source = self._owner(call, ref, text)
            if source is not None:
                case = "only" if ref.producers == 1 else "latest"
                detail = f"{path} is the very object that {self._label(source)} put out ({_shown(text)})"
                result.findings.append(Finding(source, argument, "identity", confidence("identity", case), detail))
                used.setdefault(text, []).append(source)
                return
        known = self.sources.whole.get(text)
        if known is not None and known.start >= 0:
            self._exact(call, argument, path, known, used, result)
            return
        if known is not None and not known.holders:
            result.is_whole = False
            return
        self._compose(call, argument, path, text, used, result)

    def _identifier(self, call: Call | None, argument: str, path: str, text: str, result: Explanation) -> None:
        holder = self._ids.get(text)
        if holder is not None and (call is None or holder.call != call.position):
            detail = f"{path} is the id {_shown(text)} that {self._label(holder.call)} gave at {holder.path}"
            result.findings.append(Finding(holder.call, argument, "id", confidence("id", "only"), detail))

    def _exact(
        self,
        call: Call | None,
        argument: str,
        path: str,
        source: Source,
        used: dict[object, list[int]],
        result: Explanation,
    ) -> None:
        holder, others = self._latest(call, source.holders, used.setdefault(source.text, []))
        if holder is None:
            result.is_whole = False
            return
        used[source.text].append(holder.call)
        detail = f"{path} equals what {self._label(holder.call)} put out{_at(holder.path)} ({_shown(source.text)})"
        if others:
            detail += "; rejected as earlier: " + ", ".join(self._label(other) for other in others)
        case = "latest" if others else "only"
        result.findings.append(Finding(holder.call, argument, "leaf", confidence("leaf", case), detail))

    def _latest(self, call: Call | None, holders: list[Holder], used: list[int]) -> tuple[Holder | None, list[int]]:
        """Return the most recent holder that explains no equal text of this argument yet, and the other calls."""
        best: Holder | None = None
        for holder in reversed(holders):
            if call is not None and is_inside(self.calls, call.position, holder.call):
                continue
            if best is None or (best.call in used and holder.call not in used):
                best = holder
                if holder.call not in used:
                    break
        if best is None:
            return None, []
        others = list(dict.fromkeys(holder.call for holder in holders[-4:] if holder.call != best.call))
        return best, others

    def _owner(self, call: Call | None, ref: Ref, text: str | None) -> int | None:
        """Return the call whose own output a reference points at: a structure only handed it through."""
        position = self._positions.get(ref.source)
        if position is None:
            return None
        source = self.calls[position]
        if call is not None and (source is call or is_inside(self.calls, call.position, position)):
            return None
        if call is not None and source.record.start > call.record.start:
            return None
        if not source.children and not source.is_passing:
            return position
        if (
            source.is_own
            and source.children
            and source.record.end <= (call.record.start if call else source.record.end)
        ):
            return position
        known = self.sources.whole.get(text) if text is not None else None
        if known is None or not known.holders:
            return None
        inside = [holder for holder in known.holders if is_inside(self.calls, holder.call, position)]
        return (inside or known.holders)[-1].call

    # -- texts that are pieced together --------------------------------------------------------------------------

    def _compose(
        self,
        call: Call | None,
        argument: str,
        path: str,
        text: str,
        used: dict[object, list[int]],
        result: Explanation,
    ) -> None:
        covered = self._covered.get(text)
        is_new = covered is None
        if covered is None:
            plain = unescaped(text)
            numbers = self.sources.words.numbers(plain)
            covered = _Covered(plain, numbers, cover(self.sources, text, numbers))
            if len(numbers) >= SHINGLE:
                self._covered[text] = covered
        numbers = covered.numbers
        free = [True] * len(numbers)
        for match in covered.matches:
            free[match.start : match.end] = [False] * match.length
            if match.source.holders:
                self._matched(call, argument, path, covered, match, used, result)
        if any(free):
            self._short(call, argument, path, covered, free, used, result)
            rest = _runs(free)
            for start, end in rest:
                if is_new and end - start >= SHINGLE:
                    self.sources.add_outside(text, numbers[start:end])
            if rest:
                result.is_whole = False
                places = spans(covered.text)
                result.unknown.setdefault(argument, []).extend(
                    covered.text[places[start][0] : places[end - 1][1]] for start, end in rest
                )

    def _matched(
        self,
        call: Call | None,
        argument: str,
        path: str,
        covered: _Covered,
        match: Match,
        used: dict[object, list[int]],
        result: Explanation,
    ) -> None:
        holder, others = self._latest(call, match.source.holders, used.setdefault(match.source.text, []))
        if holder is None:
            return
        used[match.source.text].append(holder.call)
        if match.is_full:
            case = "full"
        else:
            case = "long" if match.length >= 3 * SHINGLE else "partial"
        how = "all" if match.is_full else "part"
        quoted = _shown(self._words(covered, match.start, match.end))
        detail = f"{path} holds {how} of what {self._label(holder.call)} put out{_at(holder.path)} ({quoted})"
        if others:
            detail += "; rejected as earlier: " + ", ".join(self._label(other) for other in others)
        result.findings.append(Finding(holder.call, argument, "cover", confidence("cover", case), detail))

    def _short(
        self,
        call: Call | None,
        argument: str,
        path: str,
        covered: _Covered,
        free: list[bool],
        used: dict[object, list[int]],
        result: Explanation,
    ) -> None:
        places = spans(covered.text)
        for slot in slots(self.sources, covered.text, covered.numbers, places, free):
            if call is not None and self._constants.has(call, argument, slot.line):
                continue
            piece, case = self._piece(call, slot.key, used.setdefault(slot.key, []))
            if piece is None:
                continue
            used[slot.key].append(piece.holder.call)
            end = slot.start + len(slot.key)
            free[slot.start : end] = [False] * len(slot.key)
            detail = (
                f"{path} holds the short value {_shown(self._words(covered, slot.start, end))} "
                f"of {self._label(piece.holder.call)}{_at(piece.holder.path)} in a place of its own"
            )
            result.findings.append(Finding(piece.holder.call, argument, "slot", confidence("slot", case), detail))

    def _piece(self, call: Call | None, key: tuple[int, ...], used: list[int]) -> tuple[Piece | None, str]:
        for pieces, case in ((self.sources.pieces.get(key, []), "whole"), (self.sources.parts(key), "part")):
            open_pieces = [
                piece for piece in pieces if call is None or not is_inside(self.calls, call.position, piece.holder.call)
            ]
            piece = pick(open_pieces, used)
            if piece is not None:
                several = len({other.holder.call for other in open_pieces}) > 1
                return piece, "several" if several and case == "whole" else case
        return None, ""

    @staticmethod
    def _words(covered: _Covered, start: int, end: int) -> str:
        places = spans(covered.text)
        return covered.text[places[start][0] : places[end - 1][1]]

    def _label(self, position: int) -> str:
        call = self.calls[position]
        return f"{call.record.name}#{call.index}"


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


def _is_identifier(text: str) -> bool:
    """Return whether CPython may share this string between unrelated places: it interns such constants."""
    return text.isascii() and text.replace("_", "a").isalnum()


def _at(path: str) -> str:
    return f" at {path}" if path else ""


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…")
