"""Templates that are given to the index by whoever knows them: hooks of frameworks, a prompt hub, a user's own store.

They explain requests beside the texts of the source, and stand behind these: a template that also stands in the source
keeps the source's name and place.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from tracediff.discover.pattern import Pattern
from tracediff.discover.readings import jinja_parts, written
from tracediff.discover.source import Template, is_text
from tracediff.errors import UsageError

Syntax: TypeAlias = Literal["format", "jinja", "raw"]
_MAX = 20_000


class FirstTime:
    """The objects of a framework that were told already, as long as they are there."""

    def __init__(self) -> None:
        self._by_id: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def is_new(self, template: Any) -> bool:
        """Tell whether a template comes for the first time."""
        if self._by_id.get(id(template)) is template:
            return False
        self._by_id[id(template)] = template
        return True


@dataclass(frozen=True, slots=True)
class _Given:
    """What ``add_template`` was told; read when the index is asked."""

    template: str | tuple[tuple[str, str | None], ...]
    variables: tuple[str, ...]
    syntax: Syntax
    name: str
    origin: str
    file: str
    line: int

    def templates(self) -> list[Template]:
        """Return what it may explain: one template, or one for each part between the blocks of a Jinja text."""
        if isinstance(self.template, tuple):
            literals, slots = [""], list[str]()
            for literal, variable in self.template:
                literals[-1] += literal
                if variable is not None:
                    slots.append(variable)
                    literals.append("")
            made = [Pattern(tuple(literals), tuple(slots))]
        elif self.syntax == "jinja":
            parts = [pattern for pattern, _, _ in jinja_parts(self.template)]
            return [self._template([part]) for part in parts or [Pattern((self.template,), ())] if is_text(part)]
        else:
            made = list(written(self.template, self.variables)) if self.syntax == "format" else []
            made = made or [Pattern((self.template,), ())]
        made = [pattern for pattern in made if is_text(pattern)]
        return [self._template(made)] if made else []

    def _template(self, patterns: list[Pattern]) -> Template:
        name = self.name or "template"
        return Template(name, "", self.file, self.line, self.line, tuple(patterns), origin=self.origin)


class _Store:
    """The given templates of this process, in order, each once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[_Given, None] = {}
        self._read: dict[_Given, list[Template]] = {}

    def add(self, given: _Given) -> None:
        with self._lock:
            self._kept.setdefault(given)
            while len(self._kept) > _MAX:  # a program that makes templates of its data: the oldest go
                oldest = next(iter(self._kept))
                del self._kept[oldest]
                self._read.pop(oldest, None)

    def templates(self) -> list[Template]:
        with self._lock:
            for given in self._kept:
                if given not in self._read:
                    self._read[given] = given.templates()
            return [template for given in self._kept for template in self._read[given]]


_store = _Store()


def add_template(
    template: str | Sequence[tuple[str, str | None]],
    variables: Sequence[str] = (),
    name: str = "",
    origin: str = "",
    *,
    syntax: Syntax = "format",
    file: str = "",
    line: int = 0,
) -> None:
    """Enter a template that is not (or not for certain) a text of the user's source, such as a framework's hook sees.

    It explains requests from then on. Cheap: nothing is parsed before a discovery runs; one that is known already is
    entered once. Give templates as their authors wrote them, never with inputs filled in.

    >>> add_template("Read {text}, then answer {question}", ["text", "question"], "answer", "hub:me/answer")
    >>> add_template([("Rules of the house. ", "rules"), (" Obey them.", None)], name="agent.system")

    Args:
        template: Its text, or its pieces: (literal, variable that follows it, or None) pairs, as
            ``string.Formatter().parse`` has them.
        variables: The names it takes. A ``format`` text without any is taken as it stands, braces and all.
        name: What the parameter is called in a parameters file, such as ``chain.prompt.system``.
        origin: Where it comes from, for a person: ``"hub:owner/name"``, ``"llama_index text_qa_template"``.
        syntax: How a text's fields are written: ``format`` (``{name}``; a doubled brace is one brace, or stays two),
            ``jinja`` (also for mustache: ``{{ name }}``), or ``raw`` (no fields).
        file: The file it stands in, where that is known.
        line: Its line there.

    Raises:
        UsageError: ``template`` is neither a text nor pairs, or ``syntax`` is unknown.
    """
    if syntax not in get_args(Syntax):
        raise UsageError(f"add_template: syntax must be one of {', '.join(get_args(Syntax))}, not {syntax!r}")
    if not isinstance(template, str):
        template = tuple((piece[0], piece[1]) for piece in template if len(piece) == 2)
        if not all(isinstance(text, str) and isinstance(slot, str | None) for text, slot in template):
            raise UsageError("add_template: pieces must be pairs (literal, variable that follows it or None)")
    elif syntax == "format" and not variables:
        syntax = "raw"
    _store.add(_Given(template, tuple(variables), syntax, name, origin, file, line))


def given_templates() -> list[Template]:
    """Return the templates that were given so far, in order."""
    return _store.templates()
