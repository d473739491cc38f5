"""Text expressions of a Python file: literals, f-strings, what is put together of them, and where each part stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper, PositionProvider

from tracediff.report.patch.literals import Atom, Slot, Style, Unit, atoms_of


@dataclass(frozen=True, slots=True)
class Token:
    """One part of a text expression: a string token, or an operand that fills a slot."""

    start: int
    """Byte offset in the file."""
    end: int
    style: Style | None
    """None for an operand."""
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class TextExpression:
    """An expression whose value is a text."""

    start: int
    end: int
    line: int
    end_line: int
    tokens: tuple[Token, ...]
    is_sum: bool
    """Its parts are joined by ``+``."""
    is_bracketed: bool
    """It stands in brackets, so that it may span lines."""
    callers: tuple[str, ...]
    """Names of the functions whose calls it stands in, from the outside in."""
    label: str
    """The name or key that it is given, as far as there is one."""

    @property
    def atoms(self) -> list[Atom]:
        """Return its value: characters and slots."""
        return [atom for token in self.tokens for atom in atoms_of(token.units)]

    @property
    def text(self) -> str | None:
        """Return the value of an expression without slots."""
        atoms = self.atoms
        return None if any(isinstance(atom, Slot) for atom in atoms) else "".join(map(str, atoms))


def text_expressions(source: bytes) -> list[TextExpression]:
    """Return the text expressions of a file in order, outermost ones before what stands in their slots.

    Raises:
        libcst.ParserSyntaxError: The file is no Python.
    """
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    reader = _Reader(source)
    wrapper.visit(reader)
    return reader.found


class _Reader(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (ByteSpanPositionProvider, PositionProvider)

    def __init__(self, source: bytes) -> None:
        super().__init__()
        self.source = source
        self.newline = "\r\n" if b"\r\n" in source else "\n"
        self.found: list[TextExpression] = []
        self._brackets = 0
        self._calls: list[str] = []
        self._labels: list[str] = []
        self._module = cst.Module([])

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Read a text as a whole, with the brackets and calls around it; go into what else there is."""
        self._brackets += _brackets(node)
        self._labels.append(_label(node))
        if isinstance(node, cst.Call):
            self._calls.append(_name(node.func))
        if _is_text(node):  # what stands in the slots of an f-string is left alone
            self._add(node, None)
            return False
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            operands = list(_operands(node))
            if any(map(_is_text, operands)):
                self._add(node, operands)
                for operand in operands:
                    if not _is_text(operand):
                        operand.visit(self)
                return False
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        """Forget the brackets and the call of a node."""
        self._brackets -= _brackets(original_node)
        self._labels.pop()
        if isinstance(original_node, cst.Call):
            self._calls.pop()

    def _add(self, node: cst.BaseExpression, operands: list[cst.BaseExpression] | None) -> None:
        given = operands or [node]
        tokens = [token for operand in given for token in self._tokens(operand)]
        if not tokens or any(token.style and "b" in token.style.prefix.lower() for token in tokens):
            return
        lines = self.get_metadata(PositionProvider, node)
        self.found.append(
            TextExpression(
                self._outer(given[0])[0] if operands else tokens[0].start,
                self._outer(given[-1])[1] if operands else tokens[-1].end,
                lines.start.line,
                lines.end.line,
                tuple(tokens),
                operands is not None,
                self._brackets > 0,
                tuple(self._calls),
                next(filter(None, reversed(self._labels)), ""),
            )
        )

    def _tokens(self, node: cst.BaseExpression) -> Iterator[Token]:
        match node:
            case cst.ConcatenatedString(left=left, right=right):
                yield from self._tokens(left)
                yield from self._tokens(right)
            case cst.SimpleString():
                start, end = self._span(node)
                style = Style(node.prefix, node.quote, self.newline)
                yield Token(start, end, style, tuple(style.units(node.raw_value)))
            case cst.FormattedString():
                start, end = self._span(node)
                style = Style(node.prefix, node.quote, self.newline)
                yield Token(start, end, style, tuple(self._units(node, style)))
            case _:
                start, end = self._outer(node)
                text = self.source[start:end].decode()
                yield Token(start, end, None, (Unit(text, Slot(text, is_field=False)),))

    def _units(self, node: cst.FormattedString, style: Style) -> Iterator[Unit]:
        for part in node.parts:
            if isinstance(part, cst.FormattedStringText):
                yield from style.units(part.value)
            else:
                start, end = self._span(part)
                text = self.source[start:end].decode()
                yield Unit(text, Slot(text, is_field=True))

    def _outer(self, node: cst.BaseExpression) -> tuple[int, int]:
        """Return where an operand stands, its own parentheses included."""
        start, end = self._span(node)
        before = "".join(map(self._module.code_for_node, node.lpar))
        after = "".join(map(self._module.code_for_node, node.rpar))
        return start - len(before.encode()), end + len(after.encode())

    def _span(self, node: cst.CSTNode) -> tuple[int, int]:
        span = self.get_metadata(ByteSpanPositionProvider, node)
        return span.start, span.start + span.length


def _name(function: cst.BaseExpression) -> str:
    """Return the last name of what is called; empty for an expression."""
    if isinstance(function, cst.Attribute):
        return function.attr.value
    return function.value if isinstance(function, cst.Name) else ""


def _label(node: cst.CSTNode) -> str:
    """Return the name that a node gives to what stands in it."""
    match node:
        case cst.Assign(targets=[cst.AssignTarget(target=target), *_]) | cst.AnnAssign(target=target):
            return _name(target)
        case cst.Arg(keyword=cst.Name(value=name)):
            return name
        case cst.DictElement(key=cst.SimpleString(raw_value=key)):
            return key
    return ""


def _brackets(node: cst.CSTNode) -> int:
    if isinstance(node, cst.Call | cst.List | cst.Dict | cst.Set | cst.Subscript | cst.Parameters):
        return 1
    return int(bool(getattr(node, "lpar", ())) and not isinstance(node, cst.Name))


def _operands(node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    """Yield the operands of a sum from left to right; a sum in parentheses is one operand of its own."""
    stack: list[cst.BaseExpression] = [node]
    while stack:
        inner = stack.pop()
        is_sum = isinstance(inner, cst.BinaryOperation) and isinstance(inner.operator, cst.Add)
        if isinstance(inner, cst.BinaryOperation) and is_sum and (inner is node or not inner.lpar):
            stack += [inner.right, inner.left]
        else:
            yield inner


def _is_text(node: cst.CSTNode) -> TypeGuard[cst.BaseExpression]:
    return isinstance(node, cst.SimpleString | cst.FormattedString | cst.ConcatenatedString)
