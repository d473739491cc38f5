"""Replacement: a candidate's texts in the requests of a program that nobody decorated, at the client boundary.

On a copy of the body; stretches between the literals are copied as they are. What can't be replaced for certain goes
out as the program made it, is counted, and makes the sample of a trial invalid.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from tracediff.capture import outgoing
from tracediff.capture.callsite import calling_site
from tracediff.capture.context import current_scope, current_text
from tracediff.capture.faults import faults
from tracediff.capture.recorder import begin, is_idle
from tracediff.discover.declared import declared_outputs
from tracediff.discover.elsewhere import Probes, Rest
from tracediff.discover.explain import MIN_WORDS, Entry, Explainer, Match, walk
from tracediff.discover.parameterfile import Discovered
from tracediff.discover.pattern import Found
from tracediff.discover.requests import Path, Place, places, with_texts
from tracediff.errors import UsageError
from tracediff.parameters import TrainedText, split, violations

_CACHED, _CACHED_CHARS = 2_048, 8_000_000


class Use(NamedTuple):
    """A discovered prompt in one request."""

    parameter: Discovered
    text: str
    """The parameter's text that this request is sent with."""
    inputs: dict[str, str]
    output: str


class _NotCertain(Exception):
    """A text can't be put in the place of another without a doubt; the message says why."""


@dataclass(slots=True)
class _Text:
    """A text of requests, with what is known of it."""

    matches: tuple[Match[Discovered], ...]
    names: frozenset[str]
    """The parameters that it is made of."""
    rest: Rest
    made: tuple[tuple[str | None, ...], str, tuple[Use, ...]] | None = None
    """What it was last written as: the candidate's texts of the parameters, the text, the prompts in it."""


class _Texts:
    """The texts that were explained, as long as they are not too many."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Text] = {}
        self._chars = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> _Text | None:
        """Return what is known of a text."""
        return self._known.get(key)

    def put(self, key: tuple[str, str], text: _Text) -> None:
        """Keep a text."""
        with self._lock:
            self._chars += len(key[0])
            if len(self._known) >= _CACHED or self._chars > _CACHED_CHARS:
                self._known.clear()
                self._chars = len(key[0])
            self._known[key] = text


class Overlay:
    """Replaces the texts of discovered parameters in requests, and enters the parameters into the recording."""

    def __init__(self, parameters: Sequence[Discovered]) -> None:
        self.parameters = tuple(parameters)
        self.counts: Counter[str] = Counter()
        """``replaced``, ``ambiguous``, ``unmatched``, ``refused``, ``failed``: requests, by what became of them."""
        entries = [Entry(p.pattern, p, sites=frozenset(p.sites)) for p in self.parameters]
        self._explainer: Explainer[Discovered] = Explainer(entries)
        self._names = frozenset(parameter.name for parameter in self.parameters)
        self._needs_site = any(entry.pattern.words < MIN_WORDS for entry in entries)
        self._trainable = {p.name: p for p in self.parameters if p.status == "trainable"}
        self._probes = Probes(self._trainable.values())
        self._texts = _Texts()
        self._refused: dict[tuple[str, str], str] = {}
        """(parameter, candidate's text) -> what is wrong with it."""
        self._lock = threading.Lock()

    def __call__(self, suffix: str, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the body to send, None for the program's own; enter the prompts of the request into the recording."""
        try:
            return self._prepared(suffix, body)
        except Exception as error:
            self._note("failed", "a discovered prompt could not be replaced: tracediff failed")
            faults.note("replacing a discovered prompt", error)
            return None

    def _prepared(self, suffix: str, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        found = self._found(tuple(places(suffix, body)))
        wanted = self._wanted()
        changed: dict[Path, str] = {}
        uses: list[Use] = []
        if wanted:
            try:
                self._check_present(found, wanted)
                for place, text in found:
                    made = self._written(place.text, text, wanted, uses) if text.matches else place.text
                    if made != place.text:
                        changed[place.path] = made
            except _NotCertain as doubt:
                kind, reason = doubt.args
                self._note(kind, reason)
                uses, changed, wanted = [], {}, {}
        if not is_idle():
            if not wanted:
                for place, text in found:
                    self._written(place.text, text, {}, uses)
            for use in uses:
                _record(use)
        if not changed:
            return None
        self._note("replaced")
        return with_texts(body, changed)

    def _written(self, given: str, text: _Text, wanted: Mapping[str, str], uses: list[Use]) -> str:
        """Return a text with what is wanted in place, and enter its prompts into ``uses``."""
        texts = tuple(map(wanted.get, text.names))
        known = text.made
        if known is None or known[0] != texts:
            own: list[Use] = []
            known = texts, _Writing(given, wanted, own).stretch(0, len(given), text.matches), tuple(own)
            text.made = known
        uses += known[2]
        return known[1]

    def _found(self, given: Sequence[Place]) -> list[tuple[Place, _Text]]:
        """Return the texts with what explains them."""
        site = (calling_site() or "") if self._needs_site else ""
        found = []
        for place in given:
            key = place.text, site
            text = self._texts.get(key)
            if text is None:
                text = _text(place.text, self._explainer.explain(place.text, site))
                self._texts.put(key, text)
            found.append((place, text))
        if any(text.matches for _, text in found):
            declared = tuple(declared_outputs(self._names))
            if declared:
                found = [(place, _undeclared(place.text, text, declared)) for place, text in found]
        return found

    def _wanted(self) -> dict[str, str]:
        """Return parameter name -> the active candidate's text, where that is not the code's."""
        wanted: dict[str, str] = {}
        scope = current_scope()
        near = {} if scope is None or scope.candidate is None or scope.is_suppressed else scope.candidate
        for name, parameter in self._trainable.items():
            text = near.get(name) or current_text(name)
            if isinstance(text, TrainedText):
                text = text.for_code(name, parameter.text)
            if text is not None and text != parameter.text:
                wanted[name] = str(text)
        return wanted

    def _check_present(self, found: Sequence[tuple[Place, _Text]], wanted: Mapping[str, str]) -> None:
        """Raise when a text of the candidate breaks its contract, or its parameter is there but not recognised."""
        present = frozenset[str]().union(*(text.names for _, text in found))
        for name in present & wanted.keys():
            if problems := self._problems(self._trainable[name], wanted[name]):
                raise _NotCertain("refused", f"{name}: {problems}")
        if wanted.keys() <= present:
            return
        for _, text in found:
            for name in self._probes.seen(text.rest):
                if name in wanted and name not in present:
                    reason = f"{name}: its text stands in a request in another form and could not be replaced"
                    raise _NotCertain("unmatched", reason)

    def _problems(self, parameter: Discovered, text: str) -> str:
        key = parameter.name, text
        problems = self._refused.get(key)
        if problems is None:
            if len(self._refused) >= _CACHED:
                self._refused.clear()
            problems = self._refused[key] = "; ".join(violations(parameter.parameter(), text))
        return problems

    def _note(self, kind: str, reason: str = "") -> None:
        with self._lock:
            self.counts[kind] += 1
        if reason:
            outgoing.note_invalid(reason)


def _text(text: str, matches: tuple[Match[Discovered], ...]) -> _Text:
    return _Text(matches, frozenset(match.entry.owner.name for match in walk(matches)), Rest(text, matches))


def _undeclared(text: str, known: _Text, declared: Sequence[str]) -> _Text:
    """Return what is known of a text without the matches that a declared prompt put out."""
    kept = tuple(m for m in known.matches if not any(text[m.found.start : m.found.end] in out for out in declared))
    return known if kept == known.matches else _text(text, kept)


@dataclass(frozen=True, slots=True)
class _Writing:
    """One text of a request while it is written anew."""

    text: str
    wanted: Mapping[str, str]
    uses: list[Use]
    """What it is made of, inner prompts first."""

    def stretch(self, start: int, end: int, matches: Sequence[Match[Discovered]]) -> str:
        """Return a stretch of the text with what is wanted in place; the very object where nothing changes."""
        text, pieces, at = self.text, list[str](), start
        for match in matches:
            found = match.found
            if (found.start, found.end) == (start, end):
                return self.rendered(match)
            pieces += [text[at : found.start], self.rendered(match)]
            at = found.end
        made = "".join([*pieces, text[at:end]])
        return text if made == text else made

    def rendered(self, match: Match[Discovered]) -> str:
        """Return one prompt's text in this request."""
        text, found, parameter = self.text, match.found, match.entry.owner
        values: list[str] = []
        for _, _, (start, end) in found.gaps:
            inner = [m for m in match.inner if start <= m.found.start and m.found.end <= end]
            values.append(self.stretch(start, end, inner))
        given = self.wanted.get(parameter.name) if parameter.status == "trainable" else None
        if given is not None:
            made = _filled(parameter, found, given, values)
        elif all(value == text[start:end] for value, (_, _, (start, end)) in zip(values, found.gaps, strict=True)):
            made = text[found.start : found.end]
        else:
            made = _with_values(text, found, values)
        if parameter.status == "trainable":
            self.uses.append(Use(parameter, parameter.text if given is None else given, _inputs(found, values), made))
        return made


def _with_values(text: str, found: Found, values: Sequence[str]) -> str:
    """Return the stretch with its own literals and other values between them."""
    pieces, at = [], found.start
    for value, (_, _, (start, end)) in zip(values, found.gaps, strict=True):
        pieces += [text[at:start], value]
        at = end
    return "".join([*pieces, text[at : found.end]])


def _inputs(found: Found, values: Sequence[str]) -> dict[str, str]:
    """Return slot name -> value, for what lies between literals of certain place."""
    inputs: dict[str, str] = {}
    for value, (first, last, _) in zip(values, found.gaps, strict=True):
        inputs.setdefault("_".join(dict.fromkeys(found.pattern.slots[first:last])), value)
    return inputs


def _filled(parameter: Discovered, found: Found, given: str, values: Sequence[str]) -> str:
    """Return ``given`` with the values in its slots. Raises when it is not certain which value stands where."""
    pattern = found.pattern
    pieces: list[tuple[str, bool]] = [(given, False)]
    known: dict[str, str] = {}
    for value, (first, last, _) in zip(values, found.gaps, strict=True):
        if last - first == 1:
            name = pattern.slots[first]
            if known.setdefault(name, value) != value:
                raise _NotCertain("ambiguous", f"{parameter.name}: two values for {{{name}}} in one request")
            continue
        chunk = "".join(
            ("" if n == first else pattern.literals[n]) + "{" + pattern.slots[n] + "}" for n in range(first, last)
        )
        at = [number for number, (piece, is_value) in enumerate(pieces) if not is_value and chunk in piece]
        if len(at) != 1 or pieces[at[0]][0].count(chunk) != 1:
            raise _NotCertain(
                "ambiguous", f"{parameter.name}: where the values of {chunk!r} part is not certain in this request"
            )
        before, _, after = pieces[at[0]][0].partition(chunk)
        pieces[at[0] : at[0] + 1] = [(before, False), (value, True), (after, False)]
    made: list[str] = []
    for piece, is_value in pieces:
        if is_value:
            made.append(piece)
            continue
        for literal, variable in split(piece, tuple(known)):
            made += [literal, "" if variable is None else known[variable]]
    return "".join(made)


def _record(use: Use) -> None:
    """Enter a prompt into the recording, as if the program had declared it."""
    parameter = use.parameter.parameter(use.text)
    call = begin(parameter.name, "prompt", use.inputs, description=parameter.role, parameter=parameter)
    if call is not None:
        call.end(use.output)


class _Active:
    """The overlays of this process, each with how many asked for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.overlays: dict[tuple[Discovered, ...], tuple[Overlay, int, Callable[[], None]]] = {}


_active = _Active()


def activate(parameters: Sequence[Discovered]) -> tuple[Overlay, Callable[[], None]]:
    """Make discovered parameters replaceable in this process; return the overlay, and what ends it.

    Raises:
        UsageError: another set that is active has a parameter of the same name.
    """
    key = tuple(parameters)
    with _active.lock:
        known = _active.overlays.get(key)
        if known is None:
            taken = {p.name for other in _active.overlays for p in other}
            if clash := next((p.name for p in key if p.name in taken), None):
                raise UsageError(
                    f"another parameters file with {clash!r} is in use in this process. Use the same file in both"
                )
            overlay = Overlay(key)
            known = overlay, 0, outgoing.watch(overlay)
        overlay, count, undo = known
        _active.overlays[key] = overlay, count + 1, undo
    return overlay, lambda: _release(key)


def _release(key: tuple[Discovered, ...]) -> None:
    with _active.lock:
        overlay, count, undo = _active.overlays.pop(key, (None, 0, None))
        if overlay is None or undo is None:
            return
        if count > 1:
            _active.overlays[key] = overlay, count - 1, undo
        else:
            undo()


@contextmanager
def discovered(parameters: Sequence[Discovered]) -> Iterator[Overlay]:
    """Run the block with discovered parameters in use."""
    overlay, undo = activate(parameters)
    try:
        yield overlay
    finally:
        undo()
