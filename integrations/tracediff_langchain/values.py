"""Values of LangChain as records keep them: messages, documents and commands as plain mappings of the very texts.

Everything else is left as it is, so that an object that goes from step to step is recognised.
"""

from __future__ import annotations

import json
from typing import Any

from tracediff.capture.stainless.media import without_media

_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "HumanMessageChunk": "user"}
_MAX_DEPTH = 12


def plain(value: Any, depth: int = 0) -> Any:
    """Return ``value`` with every message, document, prompt value and command in it in plain form.

    A container without any is the very object that was given.
    """
    if value is None or isinstance(value, str | int | float | bytes) or depth > _MAX_DEPTH:
        return value
    if isinstance(value, dict):
        made = {key: plain(item, depth + 1) for key, item in value.items()}
        return made if any(made[key] is not item for key, item in value.items()) else value
    if type(value) in (list, tuple) or isinstance(value, list):
        items = [plain(item, depth + 1) for item in value]
        if all(made is given for made, given in zip(items, value, strict=True)):
            return value
        return tuple(items) if isinstance(value, tuple) else items
    names = _names(type(value))
    if "BaseMessage" in names:
        return message(value)
    if "Document" in names:
        return {"page_content": value.page_content, "metadata": value.metadata}
    if "ChatPromptValue" in names or "ChatPromptValueConcrete" in names:
        return [plain(item) for item in value.messages]
    if "StringPromptValue" in names:
        return value.text
    if "Command" in names:
        goto = [plain(item, depth + 1) for item in _listed(value.goto) if not isinstance(item, str)]
        return {"update": plain(value.update, depth + 1), **({"goto": goto} if goto else {})}
    if "Send" in names:
        return plain(value.arg, depth + 1)
    if "__pydantic_fields__" in vars(type(value)) or "__dataclass_fields__" in vars(type(value)):
        fields = {name: item for name, item in getattr(value, "__dict__", {}).items() if not name.startswith("_")}
        made = plain(fields, depth + 1)
        return value if made is fields else made
    return value


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _names(kind: type) -> frozenset[str]:
    """Return the names of a class and its bases that come from LangChain or LangGraph."""
    return frozenset(base.__name__ for base in kind.__mro__ if base.__module__.startswith(("langchain", "langgraph")))


def message(given: Any, *, has_role: bool = False) -> dict[str, Any]:
    """Return a message as the chat APIs write it, with the very text; who speaks is of interest to a model only."""
    content, kind = given.content, getattr(given, "type", "")
    made: dict[str, Any] = {}
    if has_role:
        made["role"] = getattr(given, "role", None) or _ROLES.get(kind, kind)
    calls = getattr(given, "tool_calls", None)
    if content or not calls:
        made["content"] = without_media(content) if isinstance(content, list) else content
    if calls:
        written = _written(given)
        made["tool_calls"] = [
            {
                "id": call.get("id"),
                "name": call.get("name"),
                "arguments": written.get(call.get("id")) or json.dumps(call.get("args"), default=str),
            }
            for call in calls
        ]
    if call_id := getattr(given, "tool_call_id", None):
        made["tool_call_id"] = call_id
    return made


def _written(given: Any) -> dict[Any, str]:
    """Return the arguments of tool calls by id, as the model wrote them, where the message still has them."""
    found: dict[Any, str] = {}
    for call in (getattr(given, "additional_kwargs", None) or {}).get("tool_calls") or ():
        if isinstance(call, dict) and isinstance(function := call.get("function"), dict):
            found[call.get("id")] = function.get("arguments") or ""
    for chunk in getattr(given, "tool_call_chunks", None) or ():
        found.setdefault(chunk.get("id"), chunk.get("args") or "")
    return found


def arguments(given: Any) -> dict[str, Any]:
    """Return what a step was given as named arguments: the fields of a mapping or a state, else one ``input``."""
    made = plain(given)
    is_mapping = isinstance(given, dict) or (made is not given and isinstance(made, dict) and not _names(type(given)))
    if is_mapping and made and all(isinstance(key, str) for key in made):
        return dict(made)
    return {"input": made}
