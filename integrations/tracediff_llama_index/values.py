"""Values of LlamaIndex as records keep them: messages, passages, events, answers as plain mappings of the very texts.

What the framework works with (models, engines, templates, memories, contexts) is no data: a placeholder.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from tracediff.capture.values import Placeholder

_MAX_DEPTH = 12
_FRAMEWORK = ("llama_index", "workflows")
_WORKS = frozenset(
    {
        "BaseComponent",
        "BaseIndex",
        "BaseMemory",
        "BasePromptTemplate",
        "BaseTool",
        "CallbackManager",
        "Context",
        "PromptMixin",
        "TransformComponent",
    }
)
"""Classes of what works; what is none of them is data."""
_ANSWERS = frozenset({"Response", "PydanticResponse", "AgentChatResponse"})
_STREAMS = frozenset({"StreamingResponse", "AsyncStreamingResponse", "StreamingAgentChatResponse"})
_MACHINERY = frozenset({"init_state", "tags", "self", "instrument_tags"})
"""Arguments that the workflow runtime passes to itself."""


def names_of(kind: type) -> frozenset[str]:
    """Return the names of a class and its bases that come from LlamaIndex."""
    return frozenset(base.__name__ for base in kind.__mro__ if base.__module__.startswith(_FRAMEWORK))


def plain(value: Any, depth: int = 0) -> Any:
    """Return ``value`` with everything of LlamaIndex in it in plain form.

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
    names = names_of(type(value))
    return _of_framework(value, names, depth) if names else _fields(value, depth)


def _of_framework(value: Any, names: frozenset[str], depth: int) -> Any:
    """Return an object of LlamaIndex in plain form."""
    if "ChatMessage" in names:
        return message(value)
    if "QueryBundle" in names:
        return value.query_str
    if "NodeWithScore" in names:
        found = passage(value.node)
        return found if value.score is None else {**found, "score": value.score}
    if "BaseNode" in names:
        return passage(value)
    if names & _ANSWERS:
        return value.response
    if names & _STREAMS:
        return getattr(value, "response_txt", None) or None
    if "ChatResponse" in names:
        return message(value.message)
    if "CompletionResponse" in names:
        return {"content": value.text}
    if "ToolOutput" in names:
        return tool_output(value)
    if "AgentOutput" in names:
        return message(value.response)
    if "Event" in names:
        return event(value, names, depth)
    if names & _WORKS:
        return Placeholder(f"{type(value).__module__}.{type(value).__qualname__}")
    return _fields(value, depth)


def _fields(value: Any, depth: int) -> Any:
    kind = vars(type(value))
    if "__pydantic_fields__" not in kind and "__dataclass_fields__" not in kind:
        return value
    fields = {name: item for name, item in getattr(value, "__dict__", {}).items() if not name.startswith("_")}
    made = plain(fields, depth + 1)
    return value if made is fields else made


def message(given: Any, *, has_role: bool = False) -> dict[str, Any]:
    """Return a message as the chat APIs write it, with the very texts; who speaks is of interest to a model only."""
    made: dict[str, Any] = {}
    if has_role:
        made["role"] = str(getattr(given.role, "value", given.role))
    texts, calls = [], list(_calls(given.additional_kwargs.get("tool_calls") or ()))
    for block in given.blocks:
        kind = getattr(block, "block_type", type(block).__name__)
        if kind == "text":
            texts.append(block.text)
        elif kind == "tool_call":
            if not any(call["id"] == block.tool_call_id for call in calls):
                calls.append({"id": block.tool_call_id, "name": block.tool_name, "arguments": block.tool_kwargs})
        else:
            texts.append(Placeholder(f"llama_index.{kind}"))
    if texts or not calls:
        made["content"] = texts[0] if len(texts) == 1 else texts or ""
    if calls:
        made["tool_calls"] = calls
    if call_id := given.additional_kwargs.get("tool_call_id"):
        made["tool_call_id"] = call_id
    return made


def _calls(given: Any) -> Any:
    """Yield the tool calls that a message carries in the shape of its client."""
    for call in given:
        read = call.get if isinstance(call, Mapping) else lambda name, call=call: getattr(call, name, None)
        function = read("function")
        if function is not None:
            asked = function.get if isinstance(function, Mapping) else lambda name, of=function: getattr(of, name, None)
            yield {"id": read("id"), "name": asked("name"), "arguments": asked("arguments")}


def passage(node: Any) -> dict[str, Any]:
    """Return a node's text, and its metadata where it has any."""
    text = getattr(node, "text", None)
    made = {"text": text if isinstance(text, str) else node.get_content()}
    return {**made, "metadata": node.metadata} if node.metadata else made


def tool_output(value: Any) -> Any:
    """Return what a tool put out: the object itself where it is a text, else the text that the model is shown."""
    raw = plain(value.raw_output)
    if isinstance(raw, str) and raw:
        return raw
    texts = [block.text for block in getattr(value, "blocks", ()) if getattr(block, "block_type", "") == "text"]
    return texts[0] if len(texts) == 1 else texts or raw


def event(value: Any, names: frozenset[str], depth: int = 0) -> Any:
    """Return the fields of a workflow's event, declared or not; of the last one, the result."""
    if "StopEvent" in names and type(value).__name__ == "StopEvent":
        return plain(getattr(value, "result", None), depth + 1)
    private = getattr(value, "__pydantic_private__", None) or {}
    fields = {name: item for name, item in vars(value).items() if not name.startswith("_")}
    return plain({**fields, **(private.get("_data") or {})}, depth + 1)


def arguments(bound: inspect.BoundArguments) -> dict[str, Any]:
    """Return what a step was given by name; keywords and the fields of an event by their own names."""
    found: dict[str, Any] = {}
    for name, given in bound.arguments.items():
        parameter = bound.signature.parameters[name]
        if name in _MACHINERY:
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            found.update(given)
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            found.update({f"{name}[{at}]": item for at, item in enumerate(given)} if len(given) > 1 else {})
            if len(given) == 1:
                found[name] = given[0]
        elif "Event" in (names := names_of(type(given))):
            made = event(given, names)
            found.update(made if isinstance(made, dict) else {name: made})
        else:
            found[name] = given
    made = {name: plain(value) for name, value in found.items()}
    return {name: value for name, value in made.items() if not isinstance(value, Placeholder) and value is not None}
