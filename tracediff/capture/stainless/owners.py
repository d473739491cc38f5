"""The classes of a client library that have a ``request`` of their own: the library's base, and those tools wrapped."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any


def with_subclasses(base: type[Any]) -> list[type[Any]]:
    """Return a class and all below it, each once: another tool may have put a ``request`` of its own into some."""
    found = [base]
    for owner in found:
        found += [below for below in owner.__subclasses__() if below not in found]
    return found


def once(
    owner: type[Any],
    owners: frozenset[type[Any]],
    made: Callable[..., Any],
    plain: Callable[..., Any],
    *,
    is_async: bool,
) -> Callable[..., Any]:
    """Return the ``request`` of one of several patched classes: only the first that a client inherits from records."""

    def chosen(client: Any) -> Callable[..., Any]:
        return made if next(base for base in type(client).__mro__ if base in owners) is owner else plain

    def request(client: Any, *args: Any, **kwargs: Any) -> Any:
        return chosen(client)(client, *args, **kwargs)

    async def arequest(client: Any, *args: Any, **kwargs: Any) -> Any:
        return await chosen(client)(client, *args, **kwargs)

    return arequest if is_async else request


def called_with(original: Any) -> Callable[..., Any]:
    """Return what calls a method found in a class; another tool's wrapper must be bound to see its instance."""
    if type(original) is FunctionType:  # isinstance believes a wrapper's __class__
        return original
    return lambda client, *args, **kwargs: original.__get__(client, type(client))(*args, **kwargs)
