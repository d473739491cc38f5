"""String tokens of Python, taken apart into units that keep how each character was written, and written anew.

What stays of a text keeps its spelling (escapes, line continuations, doubled braces); only new characters are encoded.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

_ESCAPE = re.compile(r"\\(?:\r?\n|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|.)", re.DOTALL)
_KNOWN = frozenset("\\'\"abfnrtvxuUN01234567")
_NAMED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Slot:
    """What fills a place of a text: a field of an f-string, or an operand between texts."""

    source: str
    """``{expression!r:spec}`` for a field; else the operand as it is written."""
    is_field: bool


Atom: TypeAlias = "str | Slot"
"""One character of a value, several for one escape, or a slot."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One or several characters of the source with what they stand for."""

    raw: str
    atom: Atom
    """Empty for a line continuation."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a string token is written."""

    prefix: str
    quote: str
    newline: str = "\n"
    """Of the file."""

    @property
    def is_triple(self) -> bool:
        """Tell whether line breaks stand in it as they are."""
        return len(self.quote) == 3

    @property
    def is_formatted(self) -> bool:
        """Tell whether it is an f-string."""
        return "f" in self.prefix.lower()

    @property
    def is_raw(self) -> bool:
        """Tell whether a backslash is a character."""
        return "r" in self.prefix.lower()

    def with_fields(self) -> Style:
        """Return the style as an f-string's."""
        return self if self.is_formatted else Style("f" + self.prefix.replace("u", ""), self.quote, self.newline)

    def cooked(self) -> Style:
        """Return the style with escapes."""
        return Style(self.prefix.replace("r", "").replace("R", ""), self.quote, self.newline)

    def units(self, raw: str) -> Iterator[Unit]:
        """Yield the units of a token's text, without its slots."""
        at = 0
        while at < len(raw):
            if raw[at] == "\\" and not self.is_raw and (match := _ESCAPE.match(raw, at)):
                yield Unit(match[0], _escaped(match[0]))
                at = match.end()
            elif self.is_formatted and raw[at : at + 2] in {"{{", "}}"}:
                yield Unit(raw[at : at + 2], raw[at])
                at += 2
            elif raw.startswith("\r\n", at):  # Python reads every line break of a source file as one character
                yield Unit("\r\n", "\n")
                at += 2
            else:
                yield Unit(raw[at], raw[at])
                at += 1

    def encoded(self, atoms: Sequence[Atom]) -> list[Unit]:
        """Return units for new characters and fields. Needs ``cooked`` where a raw token can't say them."""
        return [Unit(self._raw(atom), atom) for atom in atoms]

    def _raw(self, atom: Atom) -> str:
        if isinstance(atom, Slot):
            return atom.source if atom.is_field else "{" + atom.source + "}"
        return "".join(map(self._char, atom))

    def _char(self, char: str) -> str:
        if self.is_formatted and char in "{}":
            return char * 2
        if char == "\n" and self.is_triple:
            return self.newline
        if self.is_raw:
            return char
        if char == "\t" and self.is_triple:
            return char
        if char in _NAMED:
            return _NAMED[char]
        if char == self.quote and not self.is_triple:
            return "\\" + char
        if ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 or char in "\x7f\x85\u2028\u2029\ufeff":
            return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"
        return char

    def token(self, units: Sequence[Unit]) -> str:
        """Return the token of these units; inside triple quotes, quotes that would end it are escaped."""
        body = "".join(unit.raw for unit in units)
        if self.is_triple and not self.is_raw:
            body = self._without_end(units)
        return f"{self.prefix}{self.quote}{body}{self.quote}"

    def _without_end(self, units: Sequence[Unit]) -> str:
        """Return the text of the units with a backslash before each quote that makes three, or stands last."""
        mark, run, made = self.quote[0], 0, list[str]()
        for number, unit in enumerate(units):
            run = run + 1 if unit.raw == mark else 0
            is_end = run == 3 or (run and number == len(units) - 1)
            made.append("\\" + mark if is_end else unit.raw)
            run = 0 if is_end else run
        return "".join(made)

    def can_say(self, atoms: Sequence[Atom]) -> bool:
        """Tell whether a raw token can hold this value."""
        if not self.is_raw:
            return True
        text = "".join(atom for atom in atoms if isinstance(atom, str))
        return not (
            self.quote[0] in text or text.endswith("\\") or (not self.is_triple and "\n" in text) or "\r" in text
        )


def _escaped(raw: str) -> str:
    """Return what an escape stands for; empty for a line continuation."""
    if raw in {"\\\n", "\\\r\n"}:
        return ""
    if raw[1] not in _KNOWN:
        return raw
    try:
        return str(ast.literal_eval(f'"{raw}"'))
    except (SyntaxError, ValueError):
        return raw


def atoms_of(units: Sequence[Unit]) -> list[Atom]:
    """Return the value of units: single characters and slots."""
    made: list[Atom] = []
    for unit in units:
        made += [unit.atom] if isinstance(unit.atom, Slot) else list(unit.atom)
    return made
