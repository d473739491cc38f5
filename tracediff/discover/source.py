"""Texts of one source file, from its syntax tree: where they stand, what they are called, what fills their slots."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracediff.discover.naming import expression_name
from tracediff.discover.pattern import Pattern
from tracediff.discover.readings import jinja_parts, readings

_DECLARES = "trainable_prompt"
_ROLES = frozenset({"system", "developer", "user", "human", "assistant", "ai"})


@dataclass(frozen=True, slots=True)
class Segment:
    """A text expression of the source, as the syntax tree has it: lines from 1, columns from 0 in bytes of UTF-8."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Template:
    """A text of the user's source that may be a prompt."""

    name: str
    """``module.function.target``, as far as there is one."""
    module: str
    """Empty for a text file."""
    file: str
    line: int
    end_line: int
    patterns: tuple[Pattern, ...]
    """One for each reading."""
    is_listed: bool = False
    """It stands in a list with other texts: more often data than a prompt."""
    is_entry: bool = False
    """It is one of several values of a mapping that is no message: prompts by name, or passages."""
    origin: str = ""
    """Where a template comes from that does not stand in the user's source; empty for one that does."""
    segments: tuple[Segment, ...] = ()
    """The expressions it is written with: one, or the operands of a sum; none for a text file."""
    holder: str = ""
    """The variable that is assigned what the text is a part of."""
    function: str = ""
    """The innermost function that it stands in; empty at the top of a module or class."""
    is_returned: bool = False
    """A function returns it as it is."""

    @property
    def label(self) -> str:
        """What the text itself is called; empty for one that has no name of its own."""
        name = self.name.rpartition(".")[2]
        return "" if name == self.function else name

    @property
    def place(self) -> str:
        """File and line, or where else it comes from; the same for all parts of one text, and for a whole text file."""
        if not self.file:
            return f"{self.origin}:{self.name}"
        return f"{self.file}:{self.segments[0].line}" if self.segments else f"{self.file}:{self.name}"


def templates_of(tree: ast.Module, module: str, file: str) -> list[Template]:
    """Return the texts of a module. What ``trainable_prompt`` declares is left out."""
    reader = _Reader(module, file)
    reader.formats = dict(_formats(tree))
    reader.visit(tree)
    return reader.found


def _formats(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (name of a text, names of what fills its positional fields) where a named text is filled."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name), attr="format")):
                if node.args:
                    yield name, tuple(map(expression_name, node.args))
            case ast.BinOp(left=ast.Name(id=name) | ast.Attribute(attr=name), op=ast.Mod(), right=right):
                yield name, _filled_by(right)


def _filled_by(right: ast.expr) -> tuple[str, ...]:
    return tuple(map(expression_name, right.elts)) if isinstance(right, ast.Tuple) else (expression_name(right),)


class _Reader(ast.NodeVisitor):
    """Walks one module."""

    def __init__(self, module: str, file: str) -> None:
        self.module, self.file = module, file
        self.formats: dict[str, tuple[str, ...]] = {}
        self.found: list[Template] = []
        self._scopes: list[str] = []
        self._label = ""
        self._holder = ""
        self._function = ""
        self._is_listed = False
        self._is_entry = False
        self._is_returned = False

    # where a text stands

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Go into a class."""
        self._within(node, "")

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Go into a function, unless it is a prompt that the user declared."""
        if not any(_is_declaring(decorator) for decorator in node.decorator_list):
            self._within(node, node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the names of ast

    def _within(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, function: str) -> None:
        self._scopes.append(node.name)
        label, self._label = self._label, ""
        around, self._function = self._function, function
        body = node.body
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            text = body[0].value.value
            if isinstance(text, str):
                self._add(body[0].value, list(readings(inspect.cleandoc(text))), "docstring")
        self.generic_visit(node)
        self._label, self._function = label, around
        self._scopes.pop()

    def visit_Expr(self, node: ast.Expr) -> None:
        """Leave out docstrings, which were read with their owner."""
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Read what is assigned, named by its target."""
        self._assigned(node.targets[0], node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Read what is assigned, named by its target."""
        if node.value is not None:
            self._assigned(node.target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """Read what is appended, named by its target."""
        self._assigned(node.target, node.value)

    def _assigned(self, target: ast.expr, value: ast.expr) -> None:
        before, self._holder = self._holder, self._holder or expression_name(target)
        self._labelled(expression_name(target), value)
        self._holder = before

    def visit_Return(self, node: ast.Return) -> None:
        """Read what is returned."""
        if node.value is not None:
            self._is_returned = isinstance(node.value, ast.Constant)
            self.visit(node.value)
            self._is_returned = False

    def visit_keyword(self, node: ast.keyword) -> None:
        """Read an argument, named by its keyword."""
        self._labelled(node.arg or self._label, node.value)

    def visit_arguments(self, node: ast.arguments) -> None:
        """Read defaults, named by their argument."""
        places = [*node.posonlyargs, *node.args]
        for argument, default in zip(places[len(places) - len(node.defaults) :], node.defaults, strict=True):
            self._labelled(argument.arg, default)
        for argument, given in zip(node.kwonlyargs, node.kw_defaults, strict=True):
            if given is not None:
                self._labelled(argument.arg, given)

    def visit_Dict(self, node: ast.Dict) -> None:
        """Read values, named by their keys; the content of a message by its role."""
        keys = [key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else "" for key in node.keys]
        role = next(
            (
                str(v.value)
                for k, v in zip(keys, node.values, strict=True)
                if k == "role" and isinstance(v, ast.Constant)
            ),
            "",
        )
        texts = [value for value in node.values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
        before, self._is_entry = self._is_entry, len(texts) > 1 and not role
        for key, value in zip(keys, node.values, strict=True):
            label = role if role and key == "content" else key if key.isidentifier() else self._label
            self._labelled(label, value)
        self._is_entry = before

    def visit_List(self, node: ast.List | ast.Tuple | ast.Set) -> None:
        """Read items; several texts side by side are listed."""
        texts = [item for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        before, self._is_listed = self._is_listed, self._is_listed or len(texts) > 1
        self.generic_visit(node)
        self._is_listed = before

    visit_Set = visit_List  # noqa: N815 - the names of ast

    def visit_Tuple(self, node: ast.Tuple) -> None:
        """Read items; of a message written as (role, text), the text by its role."""
        match node.elts:
            case [ast.Constant(value=str(role)), text] if role in _ROLES:
                self._labelled(role, text)
            case _:
                self.visit_List(node)

    def _labelled(self, label: str, value: ast.expr) -> None:
        before, self._label = self._label, label
        self.visit(value)
        self._label = before

    # texts

    def visit_Call(self, node: ast.Call) -> None:
        """Read a call; a text that is filled right here knows its arguments."""
        if _is_declaring(node.func):
            return
        match node.func:
            case ast.Attribute(value=ast.Constant(value=str(text)) as constant, attr="format"):
                self._add(constant, list(readings(text, tuple(map(expression_name, node.args)))))
                for inner in [*node.args, *node.keywords]:
                    self.visit(inner)
                return
            case ast.Attribute(value=ast.Constant(value=str(between)), attr="join"):
                for argument in node.args:
                    self._put_together(between, argument)
                return
        self.generic_visit(node)

    def _put_together(self, between: str, argument: ast.expr) -> None:
        """Read what ``join`` is given: a list that is written there is one text, as well as its items."""
        before, self._is_listed = self._is_listed, False
        items = argument.elts if isinstance(argument, ast.List | ast.Tuple) else []
        parts: list[ast.expr] = []
        for item in items:
            parts += [ast.Constant(between), item] if parts else [item]
        if len(items) > 1:
            self._joined(argument, parts)
        for item in items:
            self.visit(item)
        if not items:
            self.visit(argument)
        self._is_listed = before

    def visit_Constant(self, node: ast.Constant) -> None:
        """Read a text in each of its readings."""
        if isinstance(node.value, str):
            self._add(node, list(readings(node.value, self.formats.get(self._label, ()))))
            for pattern, first, last in jinja_parts(node.value):
                self._add(node, [pattern], lines=(first, last))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Read an f-string, and what stands in its slots."""
        self._joined(node, [node])

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Read a sum of texts as one, and a text that ``%`` fills."""
        match node:
            case ast.BinOp(left=ast.Constant(value=str(text)) as constant, op=ast.Mod(), right=right):
                self._add(constant, list(readings(text, _filled_by(right))))
                self.visit(right)
            case ast.BinOp(op=ast.Add()):
                self._joined(node, list(_summands(node)))
            case _:
                self.generic_visit(node)

    def _joined(self, node: ast.expr, parts: list[ast.expr]) -> None:
        literals, slots = [""], list[str]()
        segments = [
            part for part in parts if isinstance(part, ast.JoinedStr | ast.Constant) and hasattr(part, "lineno")
        ]
        stack = list(reversed(parts))
        while stack:
            part = stack.pop()
            match part:
                case ast.Constant(value=str(text)):
                    literals[-1] += text
                case ast.JoinedStr(values=values):
                    stack.extend(reversed(values))
                case _:
                    slots.append(expression_name(part))
                    literals.append("")
                    self.visit(part)
        self._add(node, [Pattern(tuple(literals), tuple(slots), "fstring")], segments=segments)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> None:
        """Read a slot's expression; its format is no text."""
        self._labelled("", node.value)

    def _add(
        self,
        node: ast.expr,
        patterns: list[Pattern],
        label: str = "",
        *,
        lines: tuple[int, int] | None = None,
        segments: Sequence[ast.expr] = (),
    ) -> None:
        """Enter a text; ``lines`` are those of a part of it, where the text spans several lines of the file."""
        patterns = [pattern for pattern in patterns if is_text(pattern)]
        if not patterns:
            return
        first, last = node.lineno, node.end_lineno or node.lineno
        if lines is not None and last > first:
            first, last = first + lines[0], min(first + lines[1], last)
        name = ".".join(filter(None, [self.module, *self._scopes, label or self._label]))
        self.found.append(
            Template(
                name,
                self.module,
                self.file,
                first,
                last,
                tuple(patterns),
                self._is_listed,
                self._is_entry,
                segments=tuple(map(_segment, segments or [node])),
                holder=self._holder,
                function=self._function,
                is_returned=self._is_returned,
            )
        )


def _segment(node: ast.expr) -> Segment:
    return Segment(node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0)


def is_text(pattern: Pattern) -> bool:
    """Tell whether a pattern has words enough to be a prompt."""
    return pattern.words >= (1 if pattern.slots else 3)


def _summands(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the operands of a sum from left to right."""
    stack: list[ast.expr] = [node]
    while stack:
        inner = stack.pop()
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Add):
            stack += [inner.right, inner.left]
        else:
            yield inner


def _is_declaring(node: ast.expr) -> bool:
    """Tell whether an expression is ``trainable_prompt``, with or without arguments."""
    match node:
        case ast.Call(func=func):
            return _is_declaring(func)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name == _DECLARES
    return False


def texts_of(texts: Iterator[tuple[str, str, int, int]], file: str) -> list[Template]:
    """Return the templates of (name, text, line, end line) of a text file; numbers after its name are of lists."""
    found = []
    for name, text, line, end_line in texts:
        is_listed = any(map(str.isdecimal, name.rpartition(Path(file).name)[2].split(".")))
        if patterns := tuple(filter(is_text, readings(text))):
            found.append(Template(name, "", file, line, end_line, patterns, is_listed))
        parts = [(p, line + first, line + last) for p, first, last in jinja_parts(text) if is_text(p)]
        found += [Template(name, "", file, first, last, (pattern,)) for pattern, first, last in parts]
    return found
