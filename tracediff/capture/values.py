"""Value snapshots: what a record keeps of the objects that a program passed around."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Obj:
    """A typed object with readable fields: dataclass, attrs, pydantic model, message, document, response."""

    type: str
    fields: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Cut:
    """A value that is not kept whole: bytes, or text or a container beyond a cap. ``head`` is what was kept."""

    type: str
    head: Value
    length: int
    digest: str


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A value that is not looked into: its type and why (``opaque``, ``cycle``, ``depth``)."""

    type: str
    reason: str = "opaque"


Value: TypeAlias = (
    "None | bool | int | float | str | list[Value] | tuple[Value, ...] | dict[Value, Value] | Obj | Cut | Placeholder"
)
"""A snapshot: nothing in it is shared with the program except immutable strings and numbers."""

Leaf: TypeAlias = "tuple[str, str | int | float | bool]"
"""(path in the value such as ``[0].text``, scalar)."""


def leaves(value: Value, path: str = "") -> Iterator[Leaf]:
    """Yield every scalar of a snapshot with its path, in document order."""
    stack: list[tuple[str, Value]] = [(path, value)]
    while stack:
        at, item = stack.pop()
        match item:
            case str() | int() | float():
                yield at, item
            case list() | tuple():
                stack.extend((f"{at}[{i}]", item[i]) for i in range(len(item) - 1, -1, -1))
            case dict():
                stack.extend((f"{at}.{key}" if at else str(key), item[key]) for key in reversed(list(item)))
            case Obj():
                stack.extend((f"{at}.{key}" if at else key, item.fields[key]) for key in reversed(list(item.fields)))
            case Cut():
                stack.append((at, item.head))
            case _:
                pass
