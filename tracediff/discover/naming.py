"""Names: what an expression of the source suggests for its value, and what a name says of the text that it holds."""

from __future__ import annotations

import ast
import builtins
import re

_BUILTIN = frozenset(dir(builtins)) | {"self", "cls"}
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_PROMPT = """
prompt template tmpl instruction instruct system rule guideline persona policy principle constraint criterion criteria
requirement section part hint tip role style tone format rubric goal aspect step shot example few perspective character
expert agent backstory description guide
"""
_DATA = """
doc document corpus article passage chunk data dataset knowledge review email mail ticket question query input sample
case product catalog inventory database db order transcript conversation history record row item book story news page
note paragraph source snippet sentence utterance invoice recipe resume letter essay post tweet comment
"""
_FETCHING = "search retrieve fetch lookup find load read query"


def expression_name(node: ast.AST) -> str:
    """Return the name that an expression suggests for its value; may be empty.

    >>> expression_name(ast.parse("'; '.join(d['text'] for d in docs)", mode="eval").body)
    'docs'
    """
    match node:
        case ast.Name(id=name):
            return "" if name in _BUILTIN else name
        case ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))) if name.isidentifier():
            return name
        case ast.Subscript(value=value) | ast.Await(value=value) | ast.Starred(value=value):
            return expression_name(value)
        case ast.ListComp(generators=[first, *_]) | ast.GeneratorExp(generators=[first, *_]):
            return expression_name(first.iter)
        case ast.FormattedValue(value=value):
            return expression_name(value)
        case ast.IfExp(body=body, orelse=other) | ast.BinOp(left=body, right=other):
            return expression_name(body) or expression_name(other)
        case ast.BoolOp(values=values):
            return next(filter(None, map(expression_name, values)), "")
        case ast.Call():
            return _call_name(node)
    return ""


def _call_name(call: ast.Call) -> str:
    """Return a call's name: of what it is made from, else of what makes it."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if isinstance(owner, ast.Name | ast.Attribute) and not call.args:
        own = expression_name(owner)
        if own and call.func.attr in _METHODS:  # type: ignore[attr-defined]
            return own
    inside = next(filter(None, map(expression_name, [*call.args, *(k.value for k in call.keywords)])), "")
    if inside:
        return inside
    if isinstance(owner, ast.Call | ast.Subscript) and (own := expression_name(owner)):
        return own
    return expression_name(call.func)


_METHODS = frozenset({"strip", "lstrip", "rstrip", "lower", "upper", "title", "capitalize", "copy", "items", "keys"})


def _pieces(name: str) -> list[str]:
    """Return the words of an identifier, in the singular."""
    words = [piece.lower() for piece in _PIECE.findall(name)]
    return [word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words]


def is_named_as_prompt(name: str) -> bool:
    """Tell whether a name says that its text is a prompt or a part of one."""
    return any(piece in _PROMPT.split() for piece in _pieces(name))


def is_named_as_data(name: str) -> bool:
    """Tell whether a name says that its text is something to work on: an input, a document.

    >>> is_named_as_data("knowledge_base"), is_named_as_data("QUESTION_PROMPT"), is_named_as_data("guidelines")
    (True, False, False)
    """
    return not is_named_as_prompt(name) and any(piece in _DATA.split() for piece in _pieces(name))


def is_named_as_search(name: str) -> bool:
    """Tell whether a function's name says that it gets data from somewhere."""
    pieces = _pieces(name)
    return bool(pieces) and pieces[0] in _FETCHING.split() and not is_named_as_prompt(name)
