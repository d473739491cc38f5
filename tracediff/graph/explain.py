"""Which earlier outputs stand in an input: references, exact leaves, cover, short slots, in this order of strength."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from tracediff.capture.records import Ref
from tracediff.capture.values import Value
from tracediff.graph.calls import IDS, LABELS, Call, Scalar, is_inside, last_key, leaves
from tracediff.graph.findings import Argument, Explanation, labels
from tracediff.graph.pieced import Pieces
from tracediff.graph.reasons import Reason
from tracediff.graph.sources import Holder, Source, Sources
from tracediff.graph.together import RECENT
from tracediff.graph.words import SHINGLE, Vocabulary
from tracediff.parameters import split

_LONG = 60
_OBJECT = "{path} is the very object that {owner} put out{at}"
_OBJECT_TEXT = "{path} is the very object that {owner} put out{at} ({text})"
_IN_OBJECT = "{path} stands in the very object that {owner} put out, with {text} in it"
_ID = "{path} is the id {text} that {owner} gave{at}"
_EQUAL = "{path} equals what {owner} put out{at} ({text})"


class Explainer:
    """Explains inputs of calls in order of time, from the outputs noted so far."""

    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls
        self.sources = Sources(Vocabulary())
        self._pieces = Pieces(calls, self.sources)
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
            argument = Argument(call, name, result)
            found = leaves(value, name)
            around = self._around(argument, open_refs, found) if open_refs else []
            later: list[tuple[str, Scalar, Ref | None]] = []
            for path, leaf in found:
                ref = open_refs.get(path) if open_refs else None
                if isinstance(leaf, bool) or (around and self._in_object(argument, path, leaf, around)):
                    continue
                if isinstance(leaf, str) and (len(leaf) > _LONG or len(found) == 1):
                    self._leaf(argument, path, leaf, ref)
                else:
                    later.append((path, leaf, ref))
            argument.settle()
            if len(later) > 1:
                self._pieces.prepare(argument, [(path, leaf) for path, leaf, _ in later if isinstance(leaf, str)])
            for path, leaf, ref in later:  # short values last: what stands beside them tells where they are from
                self._leaf(argument, path, leaf, ref)
            argument.settle()
        if call is not None and result.unknown:
            self._pieces.trace(call, result)
        return result

    # -- references ----------------------------------------------------------------------------------------------

    def _around(
        self, argument: Argument, refs: Mapping[str, Ref], found: list[tuple[str, Scalar]]
    ) -> list[tuple[str, int]]:
        """Return (path, source) of the lists and objects that were handed over whole, innermost first."""
        scalars = {path for path, leaf in found if not isinstance(leaf, bool)}
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
                reason = Reason(_OBJECT, path, ref.source_path)
                argument.add(source, "identity", "only" if ref.producers == 1 else "latest", reason)
        return sorted(around, key=lambda item: -len(item[0]))

    def _in_object(self, argument: Argument, path: str, leaf: Scalar, around: list[tuple[str, int]]) -> bool:
        """Explain a leaf by the object it stands in, unless the program added it later."""
        known = self.sources.whole.get(str(leaf).strip())
        if known is None:
            return False
        for place, source in around:
            if _is_at(path, place) and any(item.call == source for item in reversed(known.holders[-RECENT:])):
                argument.add(source, "identity", "only", Reason(_IN_OBJECT, path, text=str(leaf)))
                argument.used.setdefault(known.text, []).append(source)
                return True
        return False

    def owner(self, call: Call | None, ref: Ref, text: str | None) -> int | None:
        """Return the call whose own output a reference points at: a structure only handed it through."""
        position = self._positions.get(ref.source)
        if position is None:
            return None
        source = self.calls[position]
        if call is not None and (
            is_inside(self.calls, call.position, position) or source.record.start > call.record.start
        ):
            return None
        if not source.is_passing and (not source.children or source.is_own):
            return position
        known = self.sources.whole.get(text) if text is not None else None
        if known is None or not known.holders:
            return None
        recent = known.holders[-RECENT:]
        inside = next((item for item in reversed(recent) if is_inside(self.calls, item.call, position)), recent[-1])
        return inside.call

    # -- leaves --------------------------------------------------------------------------------------------------

    def _leaf(self, argument: Argument, path: str, leaf: Scalar, ref: Ref | None) -> None:
        text = leaf.strip() if isinstance(leaf, str) else str(leaf)
        if not text:
            return
        if isinstance(leaf, float) and leaf.is_integer() and text not in self.sources.whole:
            text = str(int(leaf))  # a text said 3, the program made a number of it
        key = last_key(path)
        if key in IDS:
            holder = self._ids.get(text)
            if holder is not None:
                argument.add(holder.call, "id", "only", Reason(_ID, path, holder.path, text))
            return
        if key in LABELS and text.count(" ") < SHINGLE:
            return
        if ref is not None and not _is_identifier(text):
            source = self.owner(argument.call, ref, text)
            if source is not None and (ref.producers == 1 or text.count(" ") >= SHINGLE):
                case = "only" if ref.producers == 1 else "latest"
                argument.add(source, "identity", case, Reason(_OBJECT_TEXT, path, ref.source_path, text))
                argument.used.setdefault(text, []).append(source)
                return
        known = self.sources.whole.get(text)
        if known is not None and known.rank:
            if len(known.holders) > 1:
                argument.doubtful.append(partial(self._exact, argument, path, known))
            else:
                self._exact(argument, path, known)
        else:
            self._pieces.compose(argument, path, text, ref)

    def _exact(self, argument: Argument, path: str, source: Source) -> None:
        holder, others = self._pieces.latest(argument, source)
        if holder is None:
            argument.result.is_whole = False
            return
        reason = Reason(_EQUAL, path, holder.path, source.text, None, labels(self.calls, others))
        argument.add(holder.call, "leaf", "latest" if others else "only", reason)


def _is_at(path: str, place: str) -> bool:
    """Return whether a path is at or below a place."""
    return path.startswith(place) and path[len(place) : len(place) + 1] in ("", ".", "[")


def _is_identifier(text: str) -> bool:
    """Return whether CPython may share this string between unrelated places: it interns such constants."""
    return text.isascii() and text.replace("_", "a").isalnum()
