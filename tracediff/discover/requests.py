"""Where prompts stand in a request: system and instruction texts, the first user's turn, descriptions of tools.

Never what an assistant or a tool said. Requests of chat completions, responses, legacy completions and messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

SYSTEM, USER, TOOL = "system prompt", "user prompt", "tool description"
_SYSTEM_ROLES = frozenset({"system", "developer"})
_MAPPING = (dict, Mapping)
"""dict first: to look through the abstract class costs more than the rest."""
_TEXT_PARTS = frozenset({"text", "input_text"})


class Place(NamedTuple):
    """A text of a request."""

    path: Path
    """Keys and positions from the body to the text."""
    role: str
    text: str


def places(suffix: str, body: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the texts of a request that may hold prompts; ``suffix`` says which API it is for."""
    if suffix in ("embeddings", "count_tokens"):
        return
    for name, role in (("system", SYSTEM), ("instructions", SYSTEM), ("prompt", USER)):
        yield from _texts((name,), role, body.get(name))
    for name in ("messages", "input"):
        yield from _turns(name, body.get(name))
    for name in ("tools", "functions"):
        yield from _tools(name, body.get(name))


def _turns(name: str, turns: object) -> Iterator[Place]:
    """Yield the texts before the first answer, and every system text."""
    if isinstance(turns, str):
        yield Place((name,), USER, turns)
        return
    if not isinstance(turns, list | tuple):
        return
    has_answered = False
    for position, turn in enumerate(turns):
        if not isinstance(turn, _MAPPING):
            continue
        role = turn.get("role")
        if role in _SYSTEM_ROLES:
            yield from _texts((name, position, "content"), SYSTEM, turn.get("content"))
        elif role == "user" and not has_answered:
            yield from _texts((name, position, "content"), USER, turn.get("content"))
        else:
            has_answered = has_answered or role != "user"


def _texts(path: Path, role: str, content: object) -> Iterator[Place]:
    if isinstance(content, str):
        yield Place(path, role, content)
    elif isinstance(content, list | tuple):
        for position, part in enumerate(content):
            if isinstance(part, _MAPPING) and part.get("type") in _TEXT_PARTS and isinstance(part.get("text"), str):
                yield Place((*path, position, "text"), role, part["text"])


def _tools(name: str, tools: object) -> Iterator[Place]:
    if not isinstance(tools, list | tuple):
        return
    for position, tool in enumerate(tools):
        if not isinstance(tool, _MAPPING):
            continue
        inner = tool.get("function")
        holder, path = (
            (inner, (name, position, "function")) if isinstance(inner, _MAPPING) else (tool, (name, position))
        )
        if isinstance(text := holder.get("description"), str):
            yield Place((*path, "description"), TOOL, text)


def with_texts(body: Mapping[str, Any], texts: Mapping[Path, str]) -> dict[str, Any]:
    """Return a copy of ``body`` with these texts; what is not on the way to one of them is the very same object."""
    copied: Any = dict(body)
    fresh: set[int] = {id(copied)}
    for path, text in texts.items():
        holder = copied
        for key in path[:-1]:
            inner = holder[key]
            if id(inner) not in fresh:
                inner = dict(inner) if isinstance(inner, _MAPPING) else list(inner)
                fresh.add(id(inner))
                holder[key] = inner
            holder = inner
        holder[path[-1]] = text
    return copied  # type: ignore[no-any-return]


def tool_names(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a request's tools, in order."""
    tools = body.get("tools") or body.get("functions")
    named = (
        [tool.get("function", tool) for tool in tools if isinstance(tool, _MAPPING)] if isinstance(tools, list) else []
    )
    return tuple(str(tool.get("name", tool.get("type", ""))) for tool in named if isinstance(tool, _MAPPING))
