"""Observation: what a program's requests say, and the parameters that its source explains them by."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracediff.capture import outgoing
from tracediff.capture.callsite import calling_site
from tracediff.capture.prompts import declared_parameters
from tracediff.discover.declared import declared_outputs
from tracediff.discover.explain import MIN_WORDS, Entry, Explainer, Match, walk
from tracediff.discover.frames import Caller, caller
from tracediff.discover.index import SourceIndex
from tracediff.discover.naming import is_named_as_data, is_named_as_prompt, is_named_as_search
from tracediff.discover.parameterfile import Discovered, Status
from tracediff.discover.requests import SYSTEM, USER, Place, places, tool_names
from tracediff.discover.sites import Request, fresh_name, site_keys
from tracediff.discover.source import Template
from tracediff.discover.unlocated import Missing, unlocated
from tracediff.parameters import split

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SHOWN = 200
"""Characters kept of a text that no source explains."""
_ASK = "Set trainable if it is a prompt"
_WHOLE = f"the whole user message: the input of a demo, or a prompt? {_ASK}"
_LISTED = f"one of several texts side by side, not in every call: data, or a prompt? {_ASK}"
_NAMED = f"its name says that it is something to work on: data, or a prompt? {_ASK}"
_RETURNED = f"what a function returned, not in every call: data, or a prompt? {_ASK}"


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of the program."""

    site: str
    """The user's function that sent it; empty where there is none."""
    model: str
    tools: tuple[str, ...]
    places: tuple[Place, ...]
    declared: tuple[str, ...]
    """Outputs of the prompts that the program itself declares, up to then in this run."""
    caller: Caller = field(default_factory=Caller)
    """The user's code on the stack."""


class Observation:
    """Gathers requests while it is watching. It changes none."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self._lock = threading.Lock()

    def __call__(self, suffix: str, body: Mapping[str, Any]) -> None:
        """Keep a request."""
        found = tuple(places(suffix, body))
        if found:
            sent = Sent(
                calling_site() or "",
                str(body.get("model", "")),
                tool_names(body),
                found,
                tuple(declared_outputs(())),
                caller(),
            )
            with self._lock:
                self.sent.append(sent)

    def watch(self) -> Any:
        """Look at requests from now on; return what ends it."""
        return outgoing.watch(self)


@dataclass(slots=True)
class _Use:
    """One template where it was found."""

    match: Match[Template]
    place: Place
    call: Sent
    is_inner: bool
    group: str = ""
    """Key of the call's site."""


@dataclass(slots=True)
class Findings:
    """What the source says of the observed requests."""

    parameters: tuple[Discovered, ...] = ()
    unexplained: list[dict[str, str]] = field(default_factory=list)
    groups: tuple[str, ...] = ()
    """Of each observed call, in order: the key of its site."""


def find(sent: Sequence[Sent], index: SourceIndex | None = None, given: Iterable[str] = ()) -> Findings:
    """Return the parameters of the observed requests, in order of first use.

    ``given`` are texts that the program was called with: a message that is one of them is data.
    """
    index = index or SourceIndex()
    files = dict.fromkeys(file for call in sent for file in call.caller.files)
    explainer: Explainer[Template] = Explainer(list(_entries(index.templates(files))), is_strict=True)
    uses: dict[int, list[_Use]] = {}
    findings = Findings()
    missing: list[tuple[int, Place]] = []
    data = {"", *(text.strip() for text in given)}
    requests: list[Request] = []
    used_by: list[list[_Use]] = []
    for number, call in enumerate(sent):
        found: list[_Use] = []
        for place in call.places:
            matches = explainer.explain(place.text, call.site, call.caller.modules)
            top = set(map(id, matches))
            used = [
                _Use(match, place, call, id(match) not in top)
                for match in walk(matches)
                if not _is_declared(place.text[match.found.start : match.found.end], call.declared)
            ]
            found += used
            if not matches and place.text.strip() not in data and not _is_declared(place.text, call.declared):
                missing.append((number, place))
        requests.append(_request(call, found))
        used_by.append(found)
        for use in found:
            uses.setdefault(id(use.match.entry.owner), []).append(use)
    findings.groups = site_keys(requests)
    for key, found in zip(findings.groups, used_by, strict=True):
        for use in found:
            use.group = key
    located = tuple(_parameters(uses.values(), Counter(findings.groups)))
    without = [
        Missing(findings.groups[number], sent[number].site, place, _beside(sent[number], place))
        for number, place in missing
    ]
    folded = tuple(unlocated(without, (parameter.name for parameter in located)))
    findings.parameters = (*located, *(parameter for parameter, _ in folded))
    known = {text for _, texts in folded for text in texts}
    left = dict.fromkeys((m.place.role, m.site, m.place.text[:_SHOWN]) for m in without if m.place.text not in known)
    findings.unexplained = [{"role": role, "site": site, "text": text} for role, site, text in left]
    return findings


def _beside(call: Sent, place: Place) -> tuple[str, ...]:
    return tuple(other.text for other in call.places if other is not place)


def _entries(templates: Iterable[Template]) -> Iterator[Entry[Template]]:
    """Yield what may explain: every reading, whole and without the slots at its edges; equal texts once."""
    seen: set[tuple[str, ...]] = set()  # a text of a few words is its module's own, whoever else has it
    declared = {" ".join(parameter.text.split()) for parameter in declared_parameters()}
    for template in templates:
        for pattern in template.patterns:
            if " ".join(pattern.literals[0].split()) in declared and not pattern.slots:
                continue
            for form in (pattern, pattern.trimmed(), pattern.bared()):
                if form is None:
                    continue
                key = form.key if form.words >= MIN_WORDS else ("", template.module, *form.key)
                if key not in seen:
                    seen.add(key)
                    yield Entry(form, template, template.module, is_known=bool(template.origin))


def _is_declared(text: str, declared: Iterable[str]) -> bool:
    return any(text in output for output in declared)


def _request(call: Sent, uses: Sequence[_Use]) -> Request:
    first_user = next((place.path for place in call.places if place.role == USER), ())
    templates = [
        (use, owner)
        for use in uses
        if not ((owner := use.match.entry.owner).is_listed or (owner.is_entry and use.is_inner) or _is_demo_input(use))
    ]
    return Request(
        {template.place: template.function for use, template in templates if use.place.role == SYSTEM},
        {
            template.place: template.function
            for use, template in templates
            if first_user and use.place.path == first_user
        },
        call.site,
        call.caller.line,
        call.tools,
        call.model,
    )


def _parameters(groups: Iterable[list[_Use]], calls: Mapping[str, int]) -> Iterator[Discovered]:
    names: set[str] = set()
    for uses in groups:
        # The form that was found in the middle of a text also explains a whole one, not the other way round.
        pattern = min((use.match.entry.pattern for use in uses), key=lambda pattern: len(pattern.slots))
        same = [use for use in uses if use.match.entry.pattern is pattern]
        template = same[0].match.entry.owner
        text, variables = _text(same)
        status, note = _status(same, calls)
        sites = tuple(dict.fromkeys(use.call.site for use in uses))
        name = fresh_name(template.name, names)
        names.add(name)
        yield Discovered(
            name,
            text,
            variables,
            status,
            " and ".join(dict.fromkeys(use.place.role for use in uses)) + (f" of {sites[0]}" if sites[0] else ""),
            _shown_path(template.file),
            template.line,
            template.end_line,
            sites,
            note or (f"from {template.origin}" if template.origin else ""),
        )


def _shown_path(file: str) -> str:
    """Return a file's path from the current folder, where it lies below it."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _status(uses: Sequence[_Use], calls: Mapping[str, int]) -> tuple[Status, str]:
    first = uses[0]
    template, pattern = first.match.entry.owner, first.match.entry.pattern
    if any(form.slots for form in (pattern, *template.patterns)):
        return "trainable", ""
    if all(_is_whole_input(use) for use in uses):
        return "ask", _WHOLE
    label = template.label
    if any(map(is_named_as_data, filter(None, (label, template.holder, *_held(template))))):
        return "ask", _NAMED
    seen = Counter(use.group for use in uses)
    is_missing = any(seen[group] < calls[group] for group in seen)
    is_sometimes = is_missing and any(use.is_inner for use in uses)
    is_among_others = (template.is_listed and is_missing) or (template.is_entry and is_sometimes)
    if is_among_others and not any(map(is_named_as_prompt, (label, template.holder))):
        return "ask", _LISTED
    if template.is_returned and (is_sometimes or is_named_as_search(template.function)):
        return "ask", _RETURNED
    return "trainable", ""


def _held(template: Template) -> list[str]:
    """Return the names of the file and the folder that a text stands in; none where one of them says prompt."""
    if template.module or not template.file:
        return []
    names = [Path(template.file).stem, Path(template.file).parent.name]
    return [] if any(map(is_named_as_prompt, (template.label, *names))) else names


def _is_whole_input(use: _Use) -> bool:
    """Tell whether a text is all that the user says in a request."""
    said = [place for place in use.call.places if place.role == USER]
    return len(said) == 1 and said[0] is use.place and use.place.text.strip() == _literal(use, 0).strip()


def _is_demo_input(use: _Use) -> bool:
    """Tell whether a text is a demo's input, by its name and as it is all that the user says: no sign of a step."""
    template = use.match.entry.owner
    named = any(map(is_named_as_data, filter(None, (template.label, template.holder))))
    return named and not use.match.entry.pattern.slots and _is_whole_input(use)


def _literal(use: _Use, number: int) -> str:
    """Return a literal as it stands in the request, where its place is certain, else as in the source."""
    span = use.match.found.spans[number]
    if span is None:
        return use.match.entry.pattern.literals[number]
    return use.place.text[span[0] : span[1]]


def _text(uses: Sequence[_Use]) -> tuple[str, tuple[str, ...]]:
    """Return a parameter's text and variables; slots of one name that ever differ get names of their own."""
    pattern = uses[0].match.entry.pattern
    literals = [_literal(uses[0], number) for number in range(len(pattern.literals))]
    hints = [name if _NAME.match(name) else "" for name in pattern.slots]
    taken: dict[str, list[int]] = {}
    names: list[str] = []
    values = [_values(use) for use in uses]
    for number, hint in enumerate(hints):
        same = next(
            (
                names[earlier]
                for earlier in taken.get(hint, ())
                if hint and all(v[number] is not None and v[number] == v[earlier] for v in values)
            ),
            "",
        )
        names.append(same or _variable(hint, {*names}, literals))
        taken.setdefault(hint, []).append(number)
    while True:
        text = literals[0] + "".join(f"{{{n}}}{literal}" for n, literal in zip(names, literals[1:], strict=True))
        if [variable for _, variable in split(text, tuple(names)) if variable is not None] == names:
            return text, tuple(dict.fromkeys(names))
        names = [f"{name}_" for name in names]  # a brace of a literal beside a slot reads as another slot


def _variable(hint: str, taken: set[str], literals: Sequence[str]) -> str:
    name, number = hint or "slot_1", 1
    while name in taken or any("{" + name + "}" in literal for literal in literals):
        number += 1
        name = f"{hint or 'slot'}_{number}"
    return name


def _values(use: _Use) -> list[str | None]:
    """Return the value of each slot; None where it is not certain."""
    values: list[str | None] = [None] * len(use.match.entry.pattern.slots)
    for first, last, (start, end) in use.match.found.gaps:
        if last - first == 1:
            values[first] = use.place.text[start:end]
    return values
