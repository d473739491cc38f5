"""The two decorators: ``trainable_prompt`` and ``functional_node``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, overload

from tracediff.capture.names import first_paragraph, site_name
from tracediff.capture.prompts import Prompt, calling_frame, function_form, value_form
from tracediff.capture.sites import Site, traced, untraced
from tracediff.errors import ParameterError, UsageError

F = TypeVar("F")
BackwardRule = Callable[..., Any]

_rules: dict[str, BackwardRule] = {}


def site_rule(name: str) -> BackwardRule | None:
    """Return the backward rule that ``functional_node(backward=...)`` gave this site, None for that of its kind."""
    return _rules.get(name)


@overload
def trainable_prompt(
    target: str,
    /,
    *,
    name: str,
    role: str = "",
    instruction: str = "",
    trainable: bool = True,
    frozen: tuple[str, ...] = (),
    max_chars: int | None = None,
) -> Prompt: ...
@overload
def trainable_prompt(target: F, /) -> F: ...
@overload
def trainable_prompt(
    target: None = None,
    /,
    *,
    name: str | None = None,
    role: str = "",
    instruction: str = "",
    trainable: bool = True,
    frozen: tuple[str, ...] = (),
    max_chars: int | None = None,
) -> Callable[[F], F]: ...


def trainable_prompt(
    target: Any = None,
    /,
    *,
    name: str | None = None,
    role: str = "",
    instruction: str = "",
    trainable: bool = True,
    frozen: tuple[str, ...] = (),
    max_chars: int | None = None,
) -> Any:
    """Return a function whose text is a parameter, a decorator of such, or (given a text) a callable prompt.

    The function's body must end in one literal or f-string, or a concatenation or ``.format`` of such: its literals are
    the trainable text, its slot expressions stay the function's own (LLM-AutoDiff, arXiv 2501.16673, section 3: a
    prompt is a parameter). A function without arguments may return any string.

    ``role`` (by default the docstring's first paragraph) says what the text is for, ``instruction`` guides the critic,
    ``frozen`` parts survive every proposal.

    >>> greet = trainable_prompt("Hello {who}.", name="doc.greet")
    >>> greet(who="you")
    'Hello you.'
    """
    options = {
        "role": role,
        "instruction": instruction,
        "trainable": trainable,
        "frozen": frozen,
        "max_chars": max_chars,
    }
    if target is None:
        return lambda function: _prompt(function, name, options)
    if isinstance(target, str):
        return value_form(target, name, options, calling_frame())
    return _prompt(target, name, options)


def _prompt(target: Any, name: str | None, options: dict[str, Any]) -> Any:
    if isinstance(target, staticmethod | classmethod):
        return type(target)(_prompt(target.__func__, name, options))
    if not isinstance(target, FunctionType):
        raise ParameterError(
            f"trainable_prompt takes a function or a text, not {type(target).__name__}; for a value, write "
            'td.trainable_prompt("text", name="...")'
        )
    return function_form(target, name or site_name(target), options)


@overload
def functional_node(target: F, /) -> F: ...
@overload
def functional_node(
    target: None = None,
    /,
    *,
    name: str | None = None,
    kind: str = "function",
    description: str | None = None,
    backward: BackwardRule | None = None,
) -> Callable[[F], F]: ...


def functional_node(
    target: Any = None,
    /,
    *,
    name: str | None = None,
    kind: str = "function",
    description: str | None = None,
    backward: BackwardRule | None = None,
) -> Any:
    """Return the function with its calls recorded as nodes, or a decorator of such; of a class, its ``__call__``.

    ``kind`` is ``function``, ``retriever``, ``tool``, ``llm`` or your own; ``description`` defaults to the first
    paragraph of the docstring; ``backward`` is this site's own backward rule in place of that of its kind.

    >>> @functional_node
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> double(3)
    6
    """
    if target is None:
        return lambda function: functional_node_of(function, name, kind, description, backward)
    return functional_node_of(target, name, kind, description, backward)


def functional_node_of(
    target: Any, name: str | None, kind: str, description: str | None, backward: BackwardRule | None
) -> Any:
    """Return ``target`` traced; see ``functional_node``."""
    if isinstance(target, staticmethod | classmethod):
        return type(target)(functional_node_of(target.__func__, name, kind, description, backward))
    if not callable(target):
        raise UsageError(f"functional_node takes a function or a class, not {type(target).__name__}")
    if not name and not hasattr(target, "__qualname__"):
        raise UsageError(f"functional_node needs name= for a {type(target).__name__}, which has no name of its own")
    site = name or site_name(target)
    described = first_paragraph(target) if description is None else description
    if backward is not None:
        _rules[site] = backward
    else:
        _rules.pop(site, None)
    if not inspect.isclass(target):
        return traced(target, Site(site, kind, described, target))
    method = inspect.getattr_static(target, "__call__", None)
    if not isinstance(method, FunctionType):
        raise UsageError(
            f"functional_node traces the __call__ of class {target.__qualname__}, which has none; "
            "decorate one of its methods instead"
        )
    method = untraced(method)  # of a base class that is a node too, or decorated itself: one call is one record
    if description is None and not described:
        described = first_paragraph(method)
    setattr(target, "__call__", traced(method, Site(site, kind, described, method)))  # noqa: B010  # mypy: a method
    return target
