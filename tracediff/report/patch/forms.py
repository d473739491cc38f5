"""Forms of a text with slots: how each way of filling a text is read, and written with another text.

A constant does not say how the program fills it. ``forms`` reads it in every way that is possible; ``Part.written``
is the inverse, with what the way needs escaped.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tracediff.errors import TracediffError

_PERCENT = re.compile(r"%(?:\((\w+)\))?[#0\- +]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlL]?([diouxXeEfFgGcrsa%])")
_BRACED = re.compile(r"\{[A-Za-z_]\w*\}")
_DOLLAR = re.compile(r"\$(?:\$|[A-Za-z_]\w*|\{[A-Za-z_]\w*\})")
_JINJA = re.compile(r"(\{\{.*?\}\})|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_DOLLAR_NAME = re.compile(r"\$[A-Za-z_]\w*\Z")
_JINJA_OPENS = re.compile(r"\{[{%#]")

Pieces: TypeAlias = list[str]
"""Literal, field, literal, field ..., literal; fields as they are written."""


Kind: TypeAlias = Literal["raw", "format", "percent", "dollar", "braced", "jinja", "joined"]


class NotKept(TracediffError):
    """A text can't be written in this place; the message says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a text, read in one way."""

    kind: Kind
    start: int
    end: int
    pieces: tuple[str, ...]
    """Literal, field, literal, field ..., literal. Literals as the model reads them."""
    write: Callable[[Pieces], str]

    @property
    def literals(self) -> tuple[str, ...]:
        """Return the literals, one more than fields."""
        return self.pieces[::2]

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields as they are written."""
        return self.pieces[1::2]

    def written(self, text: str, pieces: Pieces) -> str:
        """Return ``text`` with these pieces in place of the part's own."""
        return text[: self.start] + self.write(pieces) + text[self.end :]


def is_positional(field: str) -> bool:
    """Tell whether a field takes the next value: ``{}``, ``{!r}``, ``%s``."""
    return field[:2] in {"{}", "{!", "{:"} or (field[:1] == "%" and field[:2] != "%(")


def forms(text: str) -> Iterator[Part]:
    """Yield every reading of ``text`` as one part, then the parts of it as a Jinja template."""
    end = len(text)
    yield Part("raw", 0, end, (text,), lambda pieces: pieces[0])
    for kind, read, write in _FILLED:
        pieces = read(text)
        if len(pieces) > 1 or pieces[0] != text:
            yield Part(kind, 0, end, tuple(pieces), write)
    if len(pieces := _cut(text, _BRACED)) > 1:
        yield Part("braced", 0, end, tuple(pieces), "".join)
    yield from _jinja(text)


def _cut(text: str, field: re.Pattern[str]) -> Pieces:
    pieces, at = list[str](), 0
    for match in field.finditer(text):
        pieces += [text[at : match.start()], match[0]]
        at = match.end()
    return [*pieces, text[at:]]


# str.format


def _read_format(text: str) -> Pieces:
    pieces = [""]
    try:
        for literal, name, spec, conversion in string.Formatter().parse(text):
            pieces[-1] += literal
            if name is not None:
                told = (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
                pieces += ["{" + name + told + "}", ""]
    except ValueError:
        return [text]
    return pieces


def _write_format(pieces: Pieces) -> str:
    return _with_literals(pieces, lambda literal: literal.replace("{", "{{").replace("}", "}}"))


def _with_literals(pieces: Pieces, write: Callable[[str], str]) -> str:
    return "".join(piece if number % 2 else write(piece) for number, piece in enumerate(pieces))


# percent formatting


def _read_percent(text: str) -> Pieces:
    pieces = [""]
    at = 0
    for match in _PERCENT.finditer(text):
        pieces[-1] += text[at : match.start()]
        at = match.end()
        if match[2] == "%":
            pieces[-1] += "%"
        else:
            pieces += [match[0], ""]
    pieces[-1] += text[at:]
    return pieces


def _write_percent(pieces: Pieces) -> str:
    return _with_literals(pieces, lambda literal: literal.replace("%", "%%"))


# string.Template


def _read_dollar(text: str) -> Pieces:
    pieces = [""]
    cut = _cut(text, _DOLLAR)
    for number, piece in enumerate(cut):
        if number % 2 == 0:
            pieces[-1] += piece
        elif piece == "$$":
            pieces[-1] += "$"
        else:
            pieces += [piece, ""]
    return pieces


def _write_dollar(pieces: Pieces) -> str:
    made = list[str]()
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            made.append(piece.replace("$", "$$"))
            continue
        following = pieces[number + 1][:1]
        joins = _DOLLAR_NAME.match(piece) and (following == "_" or following.isalnum())
        made.append("${" + piece[1:] + "}" if joins else piece)
    return "".join(made)


# Jinja


def _jinja(text: str) -> Iterator[Part]:
    """Yield the parts between the blocks of a Jinja text, each a whole with its own ``{{ }}``."""
    pieces: list[str] = []
    start = at = 0
    is_template = False
    for match in _JINJA.finditer(text):
        is_template = True
        pieces.append(text[at : match.start()])
        if match[1]:
            pieces.append(match[1])
        else:
            yield Part("jinja", start, match.start(), tuple(pieces), _write_jinja)
            pieces, start = [], match.end()
        at = match.end()
    if is_template:
        yield Part("jinja", start, len(text), (*pieces, text[at:]), _write_jinja)


def _write_jinja(pieces: Pieces) -> str:
    return _with_literals(pieces, lambda literal: _JINJA_OPENS.sub(lambda match: "{{ '" + match[0] + "' }}", literal))


_FILLED: tuple[tuple[Kind, Callable[[str], Pieces], Callable[[Pieces], str]], ...] = (
    ("format", _read_format, _write_format),
    ("percent", _read_percent, _write_percent),
    ("dollar", _read_dollar, _write_dollar),
)


def pieces_of(literals: Sequence[str], fields: Sequence[str]) -> Pieces:
    """Return literals and fields in turn."""
    pieces = [literals[0]]
    for field, literal in zip(fields, literals[1:], strict=True):
        pieces += [field, literal]
    return pieces
