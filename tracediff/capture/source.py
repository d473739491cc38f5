"""A function's own source: its node in the syntax tree, found exactly."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import lru_cache
from types import FunctionType
from typing import NamedTuple


class Found(NamedTuple):
    """Where a function is defined."""

    node: ast.FunctionDef
    class_name: str
    """Innermost class whose body the definition is directly in, for private names and ``super``; may be empty."""
    lines: tuple[str, ...]


def find(function: FunctionType) -> Found | None:
    """Return the definition of ``function``, or None when its source can't be read (``exec``, a lambda).

    The whole file is parsed: cutting a nested function out of its file would change the text of multi-line strings.
    """
    code = function.__code__
    lines = lines_of(code.co_filename, function.__globals__)
    for node, class_name in _functions(_parsed("".join(lines))):
        if node.name == code.co_name and code.co_firstlineno in (_first_line(node), node.lineno):
            return Found(node, class_name, lines)
    return None


def lines_of(filename: str, namespace: dict[str, object] | None = None) -> tuple[str, ...]:
    """Return the lines of a source file as it is now (a notebook cell as it was run); empty when unreadable."""
    linecache.checkcache(filename)
    return tuple(linecache.getlines(filename, namespace))


def stands(filename: str, line: int, name: str, text: str | None) -> bool:
    """True when the file still declares the function ``name`` or the value-form text ``text`` at ``line``.

    A function stands at its first line, as ``co_firstlineno`` has it: that of its first decorator.
    """
    tree = _parsed("".join(lines_of(filename)))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name and _first_line(node) == line:
            return True
        if isinstance(node, ast.Call) and node.args and node.lineno <= line <= (node.end_lineno or 0):
            first = node.args[0]
            if isinstance(first, ast.Constant) and text is not None and first.value == text:
                return True
    return False


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


@lru_cache(maxsize=64)
def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):  # a notebook cell with magics, a file edited meanwhile
        return ast.Module(body=[], type_ignores=[])


def _functions(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef, str]]:
    stack: list[tuple[ast.AST, str]] = [(tree, "")]
    while stack:
        parent, class_name = stack.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.FunctionDef):
                yield node, class_name
            inside = class_name
            if isinstance(node, ast.ClassDef):
                inside = node.name
            stack.append((node, inside))
