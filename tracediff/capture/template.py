"""The template that a prompt function returns, read from its syntax tree and never from what a model wrote.

The literals of the returned f-string (or concatenation, or ``.format``) are the trainable text. Its slot expressions
stay the function's own: they are evaluated by the same function, compiled with another return.
"""

from __future__ import annotations

import ast
import builtins
import copy
import re
import string
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from tracediff.capture.names import is_in_class
from tracediff.capture.source import Found, find
from tracediff.parameters import split

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FUTURE_FLAGS = 0x1FE0000  # the CO_FUTURE_* bits of code flags


class Unreadable(Exception):
    """The returned expression is no template; the message says which part, ``line`` where."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


class _Slot(NamedTuple):
    """One slot of the returned expression."""

    key: str
    """Equal for the same expression with the same formatting."""
    hint: str
    """Name that the expression suggests; may be empty."""
    item: int
    """Which item of the compiled function's tuple it is made from."""
    field: str | None
    """For ``.format``: the one replacement field; the item is then (args, kwargs)."""


class Template(NamedTuple):
    """A readable prompt function."""

    text: str
    variables: tuple[str, ...]
    slots: tuple[tuple[str, int, str | None], ...]
    """(variable, item, field) in text order."""
    found: Found
    items: tuple[ast.expr, ...]

    def evaluator(self, function: FunctionType) -> Callable[..., dict[str, str]]:
        """Return a function of the same signature that returns variable -> value in place of the text."""
        evaluate = _recompiled(function, self.found, self.items)
        slots = self.slots

        def values(*args: Any, **kwargs: Any) -> dict[str, str]:
            items = evaluate(*args, **kwargs)
            named: dict[str, str] = {}
            for variable, item, field in slots:
                value = items[item]
                if field is not None:
                    value = field.format(*value[0], **value[1])
                named.setdefault(variable, value)
            return named

        return values


def read_template(function: FunctionType) -> Template:
    """Return the template of ``function``. Raises Unreadable when it returns anything else."""
    found = find(function)
    if found is None:
        raise Unreadable("its source can't be read here", function.__code__.co_firstlineno)
    returned = _returned(found.node)
    own = frozenset({"self", "cls"}) if is_in_class(function) else frozenset()
    reader = _Reader(_parameter_names(found.node) - own, own)
    reader.read(returned)
    text, variables, names = _named(reader.pieces)
    slots = tuple((names[piece.key], piece.item, piece.field) for piece in reader.pieces if isinstance(piece, _Slot))
    return Template(text, variables, slots, found, tuple(reader.items))


def _returned(node: ast.FunctionDef) -> ast.expr:
    """Return the expression of the one return, which must be the last statement."""
    last = node.body[-1]
    for inner in _own_nodes(node):
        if isinstance(inner, ast.Yield | ast.YieldFrom):
            raise Unreadable("it is a generator", inner.lineno)
        if isinstance(inner, ast.Return) and inner is not last:
            raise Unreadable("it returns in more than one place", inner.lineno)
    if not isinstance(last, ast.Return) or last.value is None:
        raise Unreadable("its last statement is not a return of text", last.lineno)
    return last.value


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, without those of functions and classes inside it."""
    stack = list(ast.iter_child_nodes(node))
    while stack:
        inner = stack.pop()
        yield inner
        if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            stack.extend(ast.iter_child_nodes(inner))


def _parameter_names(node: ast.FunctionDef) -> frozenset[str]:
    """Return the names of a function's arguments."""
    declared = [*node.args.posonlyargs, *node.args.args, node.args.vararg, *node.args.kwonlyargs, node.args.kwarg]
    return frozenset(argument.arg for argument in declared if argument is not None)


class _Reader:
    """Takes a returned expression apart into literals and slots."""

    def __init__(self, parameters: frozenset[str], own: frozenset[str]) -> None:
        self.parameters = parameters
        self.own = own
        """``self`` and ``cls`` of a method: they name no variable."""
        self.pieces: list[str | _Slot] = []
        self.items: list[ast.expr] = []

    def read(self, root: ast.expr) -> None:
        """Append the pieces of ``root``, left to right."""
        stack: list[ast.expr] = [root]
        while stack:
            node = stack.pop()
            match node:
                case ast.Constant(value=str(text)):
                    self.pieces.append(text)
                case ast.JoinedStr(values=values):
                    stack.extend(reversed(values))
                case ast.FormattedValue():
                    item = ast.copy_location(ast.JoinedStr(values=[node]), node)
                    self.pieces.append(_Slot(ast.dump(node), self._hint(node.value), len(self.items), None))
                    self.items.append(item)
                case ast.BinOp(left=left, op=ast.Add(), right=right):
                    stack += [right, left]
                case ast.Call(func=ast.Attribute(value=template, attr="format")):
                    self._read_format(_literal(template), node)
                case _:
                    raise Unreadable(f"{ast.unparse(node)} is no literal", node.lineno)

    def _read_format(self, template: str, call: ast.Call) -> None:
        """Append the pieces of ``"literal".format(...)``; its arguments are evaluated once, together."""
        item = len(self.items)
        collect = ast.parse("(lambda *a, **k: (a, k))()", mode="eval").body
        assert isinstance(collect, ast.Call)
        collect.args, collect.keywords = call.args, call.keywords
        self.items.append(ast.copy_location(collect, call))
        try:
            for literal, field in _fields(template):
                self.pieces.append(literal)
                if field is not None:
                    key = f"{item} {field}"
                    self.pieces.append(_Slot(key, self._field_hint(field, call), item, field))
        except ValueError as wrong:
            raise Unreadable(f"{template!r} is no format string: {wrong}", call.lineno) from None

    def _hint(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return name
            case ast.Attribute(attr=name):
                return name
        named = [inner for inner in ast.walk(node) if isinstance(inner, ast.Name)]
        own = {inner.id for inner in named if not isinstance(inner.ctx, ast.Load)}  # of comprehensions
        called = {id(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call)}
        read = {inner.id for inner in named if id(inner) not in called} - own - self.own
        for mentioned in (read.intersection(self.parameters), read.difference(dir(builtins))):
            if mentioned:
                return mentioned.pop() if len(mentioned) == 1 else ""
        return ""

    def _field_hint(self, field: str, call: ast.Call) -> str:
        first, *rest = re.findall(r"\w+", re.split(r"[!:}]", field)[0]) or [""]
        if rest and _NAME.match(rest[-1]):
            return str(rest[-1])
        if first.isdigit():
            at = int(first)
            is_plain = at < len(call.args) and not any(isinstance(arg, ast.Starred) for arg in call.args)
            return self._hint(call.args[at]) if is_plain else ""
        return str(first)


def _literal(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _literal(left) + _literal(right)
    raise Unreadable(f"the template of .format is {ast.unparse(node)}, no literal", node.lineno)


def _fields(template: str) -> Iterator[tuple[str, str | None]]:
    """Yield (literal, replacement field with explicit numbering or None), in order."""
    automatic = 0

    def numbered(name: str) -> str:
        nonlocal automatic
        if name == "" or name[0] in ".[":
            name = f"{automatic}{name}"
            automatic += 1
        return name

    for literal, name, spec, conversion in string.Formatter().parse(template):
        if name is None:
            yield literal, None
            continue
        field = numbered(name) + (f"!{conversion}" if conversion else "")
        nested = string.Formatter().parse(spec or "")
        inner = "".join(part + ("" if at is None else "{" + numbered(at) + "}") for part, at, _, _ in nested)
        yield literal, "{" + field + (f":{inner}" if inner else "") + "}"


def _named(pieces: list[str | _Slot]) -> tuple[str, tuple[str, ...], dict[str, str]]:
    """Return (text, variables, slot key -> variable). Different expressions never share a name."""
    literals = "\0".join(piece for piece in pieces if isinstance(piece, str))
    names: dict[str, str] = {}
    refused: set[str] = set()
    while True:
        names.clear()
        for piece in pieces:
            if isinstance(piece, _Slot) and piece.key not in names:
                names[piece.key] = _fresh(piece.hint, literals, {*names.values(), *refused})
        text = "".join(piece if isinstance(piece, str) else "{" + names[piece.key] + "}" for piece in pieces)
        variables = tuple(names.values())
        read = [variable for _, variable in split(text, variables) if variable is not None]
        if read == [names[piece.key] for piece in pieces if isinstance(piece, _Slot)]:
            return text, variables, names
        refused.update(variables)  # a literal brace beside a slot reads as another slot


def _fresh(hint: str, literals: str, taken: set[str]) -> str:
    """Return a name that is not taken and that no literal spells in braces."""
    hint = hint if _NAME.match(hint) else ""
    name = hint or "slot_1"
    number = 1
    while name in taken or "{" + name + "}" in literals:
        number += 1
        name = f"{hint or 'slot'}_{number}"
    return name


def _recompiled(function: FunctionType, found: Found, items: tuple[ast.expr, ...]) -> FunctionType:
    """Return ``function`` with the tuple of ``items`` as its return: same globals, cells, defaults, line numbers."""
    code = function.__code__
    last = found.node.body[-1]
    node = copy.copy(found.node)
    node.decorator_list = []
    node.returns = None
    returned = ast.Return(value=ast.Tuple(elts=list(items), ctx=ast.Load()))
    node.body = [*found.node.body[:-1], ast.copy_location(returned, last)]
    cells = [name for name in code.co_freevars if name != "__class__"]
    wrapped = ast.parse(f"def outer({', '.join(cells)}):\n    pass")
    outer = wrapped.body[0]
    assert isinstance(outer, ast.FunctionDef)
    if found.class_name:
        inside = ast.parse(f"class {found.class_name}:\n    pass").body[0]
        assert isinstance(inside, ast.ClassDef)
        inside.body = [node]
        outer.body = [inside]
    else:
        outer.body = [node]
    ast.fix_missing_locations(wrapped)
    compiled = compile(wrapped, code.co_filename, "exec", flags=code.co_flags & _FUTURE_FLAGS, dont_inherit=True)
    made = compiled
    for name in ("outer", found.class_name, node.name):
        if name:
            made = next(inner for inner in made.co_consts if isinstance(inner, CodeType) and inner.co_name == name)
    held = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
    closure = tuple(held[name] for name in made.co_freevars)
    result = FunctionType(made, function.__globals__, function.__name__, function.__defaults__, closure)
    result.__kwdefaults__ = function.__kwdefaults__
    result.__qualname__ = function.__qualname__
    return result
