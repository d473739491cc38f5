"""Requests and answers of models as messages of the GenAI conventions: roles, and parts of a type each.

Read are chat completions, responses, legacy completions and anthropic's messages. A part of a type that no convention
names keeps its type and nothing else, and media are named, never copied.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tracediff.capture.values import Cut, Obj, Placeholder, Value

_MODALITIES = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "computer_screenshot": "image",
    "input_audio": "audio",
    "document": "document",
    "file": "document",
    "input_file": "document",
}
"""Type of a part that holds media, or names where they are -> what they are."""
_REASONS = {"tool_calls": "tool_call", "tool_use": "tool_call", "function_call": "tool_call", "end_turn": "stop",
            "stop_sequence": "stop", "max_tokens": "length", "refusal": "content_filter"}  # fmt: skip
"""Finish reason of a provider -> that of the conventions; every other one stays as it is."""


def field_of(value: Value, key: str) -> Any:
    """Return a field of a snapshot, None where there is none."""
    if isinstance(value, Obj):
        return value.fields.get(key)
    return value.get(key) if isinstance(value, dict) else None


def asked(inputs: Mapping[str, Value]) -> list[dict[str, Any]]:
    """Return what went in: the messages of a chat, the items of a response, or the texts of a legacy completion."""
    found = next((inputs[key] for key in ("messages", "input", "prompt") if key in inputs), [])
    if isinstance(found, list) and any(isinstance(item, int) for item in found):
        found = [{"content": [{"type": "tokens"}]}]  # a prompt as token numbers
    listed = found if isinstance(found, list | tuple) else [found] if _string(found) is not None else []
    return [_message(message) for message in listed]


def instructed(inputs: Mapping[str, Value]) -> list[dict[str, Any]]:
    """Return the parts of instructions that stand beside the messages; empty where there are none."""
    return _parts(next((inputs[key] for key in ("instructions", "system") if inputs.get(key)), None))


def offered(inputs: Mapping[str, Value]) -> list[Any]:
    """Return the definitions of tools, those of every client in one form."""
    tools = inputs.get("tools") or inputs.get("functions")
    return [_tool(tool) for tool in tools] if isinstance(tools, list) else []


def answered(output: Value, reasons: object, *, is_failed: bool) -> list[dict[str, Any]]:
    """Return what came out, one message a choice; one that no reason ended has ``error`` or ``unknown``."""
    choices = output if isinstance(output, list) else [output] if output else []
    known = reasons if isinstance(reasons, list) else []
    said: list[dict[str, Any]] = []
    for number, choice in enumerate(choices):
        reason = known[number] if number < len(known) else "error" if is_failed else "unknown"
        said.append({"role": "assistant", "parts": _of_answer(choice), "finish_reason": _REASONS.get(reason, reason)})
    return said


def _of_answer(choice: Value) -> list[dict[str, Any]]:
    """Return the parts of a recorded output."""
    if (whole := _string(choice)) is not None:
        return [_text(whole)]
    parts = [{"type": "reasoning", "content": text} for text in _texts(field_of(choice, "thinking"))]
    for key in ("content", "transcript"):
        parts += [_text(text) for text in _texts(field_of(choice, key))]
    parts += [{"type": "refusal", "content": text} for text in _texts(field_of(choice, "refusal"))]
    return parts + [_call(call) for call in _listed(field_of(choice, "tool_calls"))]


def _message(message: Value) -> dict[str, Any]:
    """Return one message, or one item of a response."""
    if (prompt := _string(message)) is not None:
        return {"role": "user", "parts": [_text(prompt)]}
    kind = str(field_of(message, "type") or "message")
    if kind != "message":
        role, parts = _item(kind, message)
        return {"role": role, "parts": parts}
    role = str(field_of(message, "role") or "user")
    content = field_of(message, "content")
    if role in ("tool", "function"):
        answered_to = field_of(message, "tool_call_id") or field_of(message, "name")
        return {"role": "tool", "parts": [_result(answered_to, content)]}
    called = [*_listed(field_of(message, "tool_calls"))]
    if (legacy := field_of(message, "function_call")) is not None:
        called.append(legacy)
    made: dict[str, Any] = {"role": role, "parts": [*_parts(content), *(_call(call) for call in called)]}
    if isinstance(name := field_of(message, "name"), str):
        made["name"] = name
    return made


def _item(kind: str, item: Value) -> tuple[str, list[dict[str, Any]]]:
    """Return role and parts of an item of a response that is no message."""
    if kind in ("function_call", "custom_tool_call"):
        return "assistant", [_call(item)]
    if kind.endswith("_call_output"):
        return "tool", [_result(field_of(item, "call_id"), field_of(item, "output"))]
    if kind == "reasoning":
        thoughts = [*_listed(field_of(item, "summary")), *_listed(field_of(item, "content"))]
        texts = [text for thought in thoughts for text in _texts(field_of(thought, "text"))]
        return "assistant", [{"type": "reasoning", "content": text} for text in texts]
    if kind.endswith("_call"):
        return "assistant", [_server_call(kind.removesuffix("_call"), item, field_of(item, "action"))]
    return ("user" if kind.startswith("input_") else "assistant"), [_part(item)]


def _parts(content: Value) -> list[dict[str, Any]]:
    if content is None:
        return []
    return [_part(part) for part in content] if isinstance(content, list) else [_part(content)]


def _part(part: Value) -> dict[str, Any]:
    kind = str(field_of(part, "type") or "text")
    text = _string(part)
    if text is not None or (text := _string(field_of(part, "text"))) is not None:
        return _text(text)
    if (modality := _MODALITIES.get(kind)) is not None:
        return _media(kind, modality, part)
    if (make := _BLOCKS.get(kind)) is not None:
        return make(part)
    if kind.endswith("_tool_result"):
        response = {"type": kind, "content": field_of(part, "content")}
        return {
            "type": "server_tool_call_response",
            "id": field_of(part, "tool_use_id"),
            "server_tool_call_response": response,
        }
    return {"type": kind}


def _media(kind: str, modality: str, part: Value) -> dict[str, Any]:
    """Return a part for media: where they are, or that they were sent with the request."""
    source = field_of(part, "source") or field_of(part, kind)
    places = [source, part] if isinstance(source, dict | Obj) else [part]
    for place in places:
        for key in ("url", "image_url", "file_url"):
            if isinstance(uri := field_of(place, key), str):
                return {"type": "uri", "modality": modality, "uri": uri}
        if isinstance(file_id := field_of(place, "file_id"), str):
            return {"type": "file", "modality": modality, "file_id": file_id}
        if (text := _string(field_of(place, "data"))) is not None and field_of(place, "type") == "text":
            return _text(text)  # a document given as text
    held = next((value for place in places for value in _fields(place) if isinstance(value, Placeholder)), None)
    if held is None:
        return {"type": kind}
    mime_type = held.type if "/" in held.type else None
    return {"type": "blob", "modality": modality, "mime_type": mime_type, "content": ""}


def _fields(value: Value) -> Iterable[Value]:
    return value.fields.values() if isinstance(value, Obj) else value.values() if isinstance(value, dict) else ()


def _call(call: Value) -> dict[str, Any]:
    """Return a tool call, however its client names the fields."""
    body = field_of(call, "function") or field_of(call, "custom") or call
    arguments = next((value for key in ("arguments", "input") if (value := field_of(body, key)) is not None), None)
    identity = field_of(call, "call_id") or field_of(call, "id")
    return {
        "type": "tool_call",
        "id": identity,
        "name": str(field_of(body, "name") or ""),
        "arguments": _json(arguments),
    }


def _server_call(name: str, call: Value, asked_for: Value) -> dict[str, Any]:
    detail = {"type": name} if asked_for is None else {"type": name, "input": asked_for}
    return {"type": "server_tool_call", "id": field_of(call, "id"), "name": name, "server_tool_call": detail}


def _result(identity: Value, response: Value) -> dict[str, Any]:
    said: Any = response
    if isinstance(response, list):
        said = [_part(part) for part in response]
    return {"type": "tool_call_response", "id": identity, "response": said}


_BLOCKS: dict[str, Callable[[Value], dict[str, Any]]] = {
    "thinking": lambda part: {"type": "reasoning", "content": _string(field_of(part, "thinking")) or ""},
    "refusal": lambda part: {"type": "refusal", "content": _string(field_of(part, "refusal")) or ""},
    "tool_use": _call,
    "server_tool_use": lambda part: _server_call(str(field_of(part, "name")), part, field_of(part, "input")),
    "mcp_tool_use": lambda part: _server_call(str(field_of(part, "name")), part, field_of(part, "input")),
    "tool_result": lambda part: _result(field_of(part, "tool_use_id"), field_of(part, "content")),
}
"""Type of a content block -> its part."""


def _tool(tool: Value) -> Any:
    """Return a definition; what is none of the known forms stays as it is."""
    body = field_of(tool, "function") or field_of(tool, "custom") or tool
    name = field_of(body, "name")
    kind = field_of(tool, "type") or "function"
    if not isinstance(name, str):
        return {"type": kind, "name": kind} if isinstance(tool, dict | Obj) else tool
    made: dict[str, Any] = {"type": kind, "name": name, "description": field_of(body, "description") or ""}
    parameters = field_of(body, "parameters") or field_of(body, "input_schema")
    return made if parameters is None else {**made, "parameters": parameters}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}


def _texts(value: Value) -> list[str]:
    texts = (_string(text) for text in (value if isinstance(value, list) else [value]))
    return [text for text in texts if text is not None]


def _string(value: Value) -> str | None:
    """Return a text, of one that was cut what was kept; None for anything else."""
    if isinstance(value, Cut):
        value = value.head
    return value if isinstance(value, str) else None


def _listed(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


def _json(arguments: Value) -> Any:
    """Return arguments as data; a text that is no JSON object stays a text."""
    if not isinstance(arguments, str) or not arguments.lstrip().startswith("{"):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
