"""A text expression with another value, in the style in which it was written.

What stays of the text keeps its tokens and its spelling. The first way of writing is taken that reads back as the
wanted value and leaves every other text of the file as it was.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tracediff.report.patch.expressions import TextExpression, Token, text_expressions
from tracediff.report.patch.forms import NotKept
from tracediff.report.patch.literals import Atom, Slot, Style, Unit, atoms_of

_NEAR = 400
"""Bytes within which a rewritten expression begins, which may now stand in parentheses on a line of its own."""
_WIDTH = 100
"""A line that is written anew is not longer, where the text can be broken."""


def rewritten(source: bytes, number: int, atoms: Sequence[Atom]) -> bytes:
    """Return the file with this value in its text expression ``number``. Raises NotKept when no way reads back."""
    expressions = text_expressions(source)
    expression = expressions[number]
    if expression.atoms == list(atoms):
        return source
    others = Counter(_key(e) for n, e in enumerate(expressions) if n != number)
    change = _Change.of(expression, atoms)
    for start, end, text in _ways(source, expression, change, atoms):
        # Half of a surrogate pair that a raw text can't escape is no UTF-8: that way does not read back.
        made = source[:start] + text.encode("utf-8", "surrogatepass") + source[end:]
        if _reads_back(made, expression.start, list(atoms), others):
            return made
    raise NotKept("no way to write the new text in this place reads back as that text")


def _key(expression: TextExpression) -> tuple[Atom | None, ...]:
    """Return a value without its slots' expressions, which may be texts that change, too."""
    return tuple(None if isinstance(atom, Slot) else atom for atom in expression.atoms)


def _reads_back(made: bytes, start: int, atoms: list[Atom], others: Counter[tuple[Atom | None, ...]]) -> bool:
    """Tell whether a file has the value near this place, is Python here, and has its other texts."""
    try:
        ast.parse(made)
        found = text_expressions(made)
    except Exception:  # what a parser raises is its own affair: the file can't be used
        return False
    here = [e for e in found if e.atoms == atoms and start <= e.start <= start + _NEAR]
    return any(Counter(_key(e) for e in found if e is not one) == others for one in here)


@dataclass(frozen=True, slots=True)
class _Change:
    """What differs: tokens ``first`` to ``last``, of which these units stay and these atoms come between."""

    first: int
    last: int
    before: tuple[Unit, ...]
    middle: tuple[Atom, ...]
    after: tuple[Unit, ...]

    @classmethod
    def of(cls, expression: TextExpression, atoms: Sequence[Atom]) -> _Change:
        """Return the smallest change from the expression's value to ``atoms``."""
        units = [(n, unit) for n, token in enumerate(expression.tokens) for unit in token.units]
        low, taken = _common(units, atoms)
        rest = atoms[taken:]
        tail, given = _common(units[low:][::-1], rest[::-1])
        high = len(units) - tail
        first = units[low][0] if low < high else units[low - 1][0] if low else units[0][0] if units else 0
        last = units[high - 1][0] if low < high else first
        return cls(
            first,
            last,
            tuple(unit for n, unit in units[:low] if n == first),
            tuple(rest[: len(rest) - given]),
            tuple(unit for n, unit in units[high:] if n == last),
        )


def _common(units: Sequence[tuple[int, Unit]], atoms: Sequence[Atom]) -> tuple[int, int]:
    """Return how many units, and how many atoms, agree from the start."""
    at = 0
    for number, (_, unit) in enumerate(units):
        if unit.atom == "":
            continue
        if at == len(atoms) or atoms[at] != unit.atom:
            return number, at
        at += 1
    return len(units), at


def _ways(
    source: bytes, expression: TextExpression, change: _Change, atoms: Sequence[Atom]
) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, text): replacements to try, the smallest first."""
    layout = _Layout.of(source, expression)
    token = expression.tokens[change.first]
    if change.first == change.last and token.style is not None:
        text = _one_token(token.style, change)
        if text is not None and layout.fits(token, text, change):
            yield token.start, token.end, text
    first, last = expression.tokens[change.first], expression.tokens[change.last]
    content = [*atoms_of(change.before), *change.middle, *atoms_of(change.after)]
    if len(expression.tokens) > 1:
        text = layout.tokens(content, first.start, is_grouped=False)
        if layout.is_bracketed or len(text) <= _WIDTH:
            yield first.start, last.end, text
    yield first.start, last.end, layout.tokens(content, first.start, is_grouped=True)
    yield expression.start, expression.end, layout.tokens(atoms, expression.start, is_grouped=True)
    if change.first == change.last and token.style is not None:
        text = _one_token(token.style, change)
        if text is not None:
            yield token.start, token.end, text


def _one_token(style: Style, change: _Change) -> str | None:
    """Return the token with the change in it; None when an operand would have to stand in it."""
    slots = [atom for atom in change.middle if isinstance(atom, Slot)]
    if not all(slot.is_field for slot in slots):
        return None
    before, after = list(change.before), list(change.after)
    new = style.with_fields() if slots else style
    if not new.can_say([*atoms_of(before), *change.middle, *atoms_of(after)]):
        new = new.cooked()
    if new != style:
        before, after = new.encoded(atoms_of(before)), new.encoded(atoms_of(after))
    return new.token([*before, *new.encoded(change.middle), *after])


@dataclass(frozen=True, slots=True)
class _Layout:
    """How tokens are set out beside those that stay."""

    source: bytes
    style: Style
    is_sum: bool
    is_bracketed: bool

    @classmethod
    def of(cls, source: bytes, expression: TextExpression) -> _Layout:
        """Return the layout of an expression's surroundings."""
        style = next((token.style for token in expression.tokens if token.style is not None), None)
        return cls(source, style or Style("", '"'), expression.is_sum, expression.is_bracketed)

    def _line(self, at: int) -> tuple[str, str]:
        """Return the line before a place: its indentation, and all of it."""
        line = self.source[self.source.rfind(b"\n", 0, at) + 1 : at].decode()
        return line[: len(line) - len(line.lstrip())], line

    def fits(self, token: Token, text: str, change: _Change) -> bool:
        """Tell whether a token may stay one: of triple quotes, or short enough, or long before."""
        assert token.style is not None
        if token.style.is_triple or not change.middle:
            return True
        old = self.source[token.start : token.end].decode()
        if "\n" in "".join(atom for atom in change.middle if isinstance(atom, str)).strip("\n") and "\\n" not in old:
            return False
        _, line = self._line(token.start)
        return len(line) + len(text) <= max(_WIDTH, len(line) + len(old))

    def tokens(self, atoms: Sequence[Atom], start: int, *, is_grouped: bool) -> str:
        """Return tokens for this value, one a line where lines can be broken; in parentheses when grouped."""
        indent, line = self._line(start)
        inner = indent + "    " if is_grouped or line.strip() else indent
        room = _WIDTH - len(inner) - 4
        pieces = list(self._pieces(atoms, room))
        breaks = is_grouped or self.is_bracketed
        newline = self.style.newline + inner if breaks else " "
        has_operands = any(isinstance(atom, Slot) and not atom.is_field for atom in atoms)
        plus = "+ " if has_operands or (self.is_sum and not is_grouped) else ""
        body = (newline + plus).join(pieces)
        if not is_grouped:
            return body
        return f"({self.style.newline}{inner}{body}{self.style.newline}{indent})"

    def _pieces(self, atoms: Sequence[Atom], room: int) -> Iterator[str]:
        """Yield the source of each part: a string token for a line of text, an operand."""
        line: list[Atom] = []
        for atom in [*atoms, None]:
            is_operand = isinstance(atom, Slot) and not atom.is_field
            if line and (atom is None or is_operand or (not self.style.is_triple and self._is_full(line, atom, room))):
                yield self._token(line)
                line = []
            if is_operand:
                assert isinstance(atom, Slot)
                yield atom.source
            elif atom is not None:
                line.append(atom)
        if not atoms:
            yield self._token([])

    def _is_full(self, line: list[Atom], atom: Atom | None, room: int) -> bool:
        """Tell whether a line of text ends before ``atom``: after its line break, or at a space near the width."""
        if line[-1] == "\n" and atom != "\n":
            return True
        length = sum(len(a.source) if isinstance(a, Slot) else 1 for a in line)
        return line[-1] == " " and atom != " " and length > room - 20

    def _token(self, atoms: Sequence[Atom]) -> str:
        has_fields = any(isinstance(atom, Slot) for atom in atoms)
        style = self.style.cooked()
        if has_fields:
            style = style.with_fields()
        elif style.is_formatted:
            style = Style(style.prefix.replace("f", "").replace("F", ""), style.quote, style.newline)
        return style.token(style.encoded(atoms))
