"""Forms of a text with slots: how each way of filling a text is read, and written with another text.

A constant does not say how the program fills it. ``forms`` reads it in every way that is possible; ``Part.written``
is the inverse, with what the way needs escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tracediff.discover.fields import Read, read_braced, read_dollar, read_format, read_jinja, read_percent
from tracediff.errors import TracediffError

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
        found = read(text)
        if found.fields or found.literals != [text]:
            yield Part(kind, 0, end, tuple(pieces_of(found.literals, found.fields)), write)
    for start, end, found in read_jinja(text):
        yield Part("jinja", start, end, tuple(pieces_of(found.literals, found.fields)), _write_jinja)


def _write_format(pieces: Pieces) -> str:
    return _with_literals(pieces, lambda literal: literal.replace("{", "{{").replace("}", "}}"))


def _with_literals(pieces: Pieces, write: Callable[[str], str]) -> str:
    return "".join(piece if number % 2 else write(piece) for number, piece in enumerate(pieces))


def _write_percent(pieces: Pieces) -> str:
    return _with_literals(pieces, lambda literal: literal.replace("%", "%%"))


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


def _write_jinja(pieces: Pieces) -> str:
    return _with_literals(pieces, lambda literal: _JINJA_OPENS.sub(lambda match: "{{ '" + match[0] + "' }}", literal))


_FILLED: tuple[tuple[Kind, Callable[[str], Read], Callable[[Pieces], str]], ...] = (
    ("format", read_format, _write_format),
    ("percent", read_percent, _write_percent),
    ("dollar", read_dollar, _write_dollar),
    ("braced", read_braced, "".join),
)


def pieces_of(literals: Sequence[str], fields: Sequence[str]) -> Pieces:
    """Return literals and fields in turn."""
    pieces = [literals[0]]
    for field, literal in zip(fields, literals[1:], strict=True):
        pieces += [field, literal]
    return pieces
