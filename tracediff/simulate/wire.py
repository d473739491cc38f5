"""The OpenAI wire format: requests read, replies and event streams written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tracediff.simulate.agent import Tool, ToolCall
from tracediff.simulate.solver import Message

SYSTEM_FINGERPRINT = "simulation"
_JSON_NAMES = MappingProxyType({str: "a string", list: "an array", dict: "an object", bool: "a boolean"})
_TOKEN = re.compile(r"\w+|[^\w\s]")

Body = Mapping[str, Any]


def tokens(text: str) -> int:
    """Return how many tokens the simulation bills for ``text``: words and punctuation marks."""
    return len(_TOKEN.findall(text))


def messages_of(body: Body) -> list[Message]:
    """Return the messages of a chat or responses request as text, instructions first."""
    found: list[Message] = []
    if isinstance(body.get("instructions"), str):
        found.append(Message("system", body["instructions"]))
    given = body.get("messages", body.get("input", []))
    if isinstance(given, str):
        return [*found, Message("user", given)]
    for item in given if isinstance(given, list) else ():
        if isinstance(item, dict) and "role" in item:
            found.append(Message(str(item["role"]), _text(item.get("content"))))
        elif isinstance(item, dict) and item.get("type") == "function_call_output":
            found.append(Message("tool", _text(item.get("output"))))
    return found


def tools_of(body: Body) -> list[Tool]:
    """Return the functions that a chat or responses request offers, those without a name left out."""
    found = []
    for tool in body.get("tools") or ():
        inner = tool.get("function", tool) if isinstance(tool, dict) else None
        if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
            continue
        schema = inner.get("parameters")
        fields = schema.get("properties") if isinstance(schema, dict) else None
        argument = next(iter(fields), "input") if isinstance(fields, dict) else "input"
        found.append(Tool(inner["name"], str(inner.get("description") or ""), argument))
    return found


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def schema_of(body: Body) -> Body:
    """Return the JSON schema that the reply must follow, empty if there is none."""
    chat = body.get("response_format") or {}
    form = (chat.get("json_schema") or {}) if chat else (body.get("text") or {}).get("format") or {}
    schema = form.get("schema")
    return schema if isinstance(schema, dict) else {}


_SCHEMA_SHAPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {"": (dict,), ".properties": (dict,), ".properties.method": (dict,), ".properties.method.enum": (list,)}
)
"""Path within a JSON schema, as far as the simulation reads it -> what may stand there."""


def with_schemas(shapes: Mapping[str, tuple[type, ...]], *places: str) -> Mapping[str, tuple[type, ...]]:
    """Return shapes with those of the JSON schemas at ``places``."""
    schemas = {f"{place}{path}": kinds for place in places for path, kinds in _SCHEMA_SHAPES.items()}
    return MappingProxyType({**shapes, **schemas})


SHAPES = with_schemas(
    {
        "model": (str,),
        "messages": (list,),
        "input": (str, list),
        "instructions": (str,),
        "stream": (bool,),
        "stream_options": (dict,),
        "tools": (list,),
        "response_format": (dict,),
        "response_format.json_schema": (dict,),
        "text": (dict,),
        "text.format": (dict,),
    },
    "response_format.json_schema.schema",
    "text.format.schema",
)
"""Path within a request -> what may stand there; it may always be absent or null."""


def misshapen(body: Body, shapes: Mapping[str, tuple[type, ...]] = SHAPES) -> str:
    """Return what is wrong with the shape of a request, in the provider's words; empty when the simulation can read it.

    A server that met it unprepared would drop the connection, which clients take for an outage and repeat.
    """
    for path, kinds in shapes.items():
        *parents, last = path.split(".")
        place: Any = body
        for parent in parents:
            place = place.get(parent) if isinstance(place, dict) else None
        value = place.get(last) if isinstance(place, dict) else None
        if value is not None and not isinstance(value, kinds):
            expected = " or ".join(_JSON_NAMES[kind] for kind in kinds)
            return (
                f"Invalid type for '{path}': expected {expected}, but got {_JSON_NAMES.get(type(value), 'a number')}."
            )
    return ""


def error(message: str, kind: str, code: str | None = None, param: str | None = None) -> Body:
    """Return an error in the provider's shape."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _usage(body: Body, text: str, calls: Sequence[ToolCall] = ()) -> tuple[int, int]:
    sent = sum(tokens(message.text) + 3 for message in messages_of(body))
    offered = sum(tokens(tool.name) + tokens(tool.description) + 3 for tool in tools_of(body))
    return sent + offered, tokens(text) + sum(tokens(call.name) + tokens(_arguments(call)) for call in calls)


def _arguments(call: ToolCall) -> str:
    return json.dumps(dict(call.arguments))


def _called(body: Body, calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """Return calls of tools as they stand in a chat message."""
    return [
        {
            "id": f"{_id('call', body)}-{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": _arguments(call)},
        }
        for number, call in enumerate(calls)
    ]


def _id(prefix: str, body: Body) -> str:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return f"{prefix}-{digest[:24]}"


def chat_completion(body: Body, text: str, calls: Sequence[ToolCall] = ()) -> Body:
    """Return a whole chat completion."""
    sent, written = _usage(body, text, calls)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if calls:
        message["tool_calls"] = _called(body, calls)
    reason = "tool_calls" if calls else "stop"
    return {
        "id": _id("chatcmpl", body),
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "system_fingerprint": SYSTEM_FINGERPRINT,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written},
    }


def chat_chunks(body: Body, text: str, calls: Sequence[ToolCall] = ()) -> Iterator[str]:
    """Yield the data lines of a streamed chat completion, the terminator last."""
    base = {
        "id": _id("chatcmpl", body),
        "object": "chat.completion.chunk",
        "created": 0,
        "model": body["model"],
        "system_fingerprint": SYSTEM_FINGERPRINT,
    }
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in re.findall(r"\s*\S+\s*", text)]
    for index, call in enumerate(_called(body, calls)):
        written, called = call["function"]["arguments"], {**call["function"], "arguments": ""}
        deltas.append({"tool_calls": [{**call, "index": index, "function": called}]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": written}}]})
    for delta in deltas:
        yield json.dumps({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    reason = "tool_calls" if calls else "stop"
    yield json.dumps({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield json.dumps({**base, "choices": [], "usage": chat_completion(body, text, calls)["usage"]})
    yield "[DONE]"


def response(body: Body, text: str, calls: Sequence[ToolCall] = ()) -> Body:
    """Return a whole object of the responses API."""
    sent, written = _usage(body, text, calls)
    content = [{"type": "output_text", "text": text, "annotations": []}]
    said = {"id": _id("msg", body), "type": "message", "role": "assistant", "status": "completed", "content": content}
    called = [
        {
            "id": call["id"].replace("call", "fc", 1),
            "type": "function_call",
            "status": "completed",
            "call_id": call["id"],
            **call["function"],
        }
        for call in _called(body, calls)
    ]
    usage = {
        "input_tokens": sent,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sent + written,
    }
    return {
        "id": _id("resp", body),
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "model": body["model"],
        "output": [said, *called],
        "usage": usage,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": {"simulated": "true"},
        "parallel_tool_calls": True,
        "temperature": body.get("temperature"),
        "tool_choice": "auto",
        "tools": [],
        "top_p": body.get("top_p"),
    }


def response_events(body: Body, text: str, calls: Sequence[ToolCall] = ()) -> Iterator[tuple[str, str]]:
    """Yield (event name, data line) of a streamed response."""
    whole = response(body, text, calls)
    said, *called = whole["output"]
    place = {"item_id": said["id"], "output_index": 0, "content_index": 0}
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**said, "content": []}},
        {
            "type": "response.content_part.added",
            **place,
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        *(
            {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
            for piece in re.findall(r"\s*\S+\s*", text)
        ),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": said["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": said},
    ]
    for index, item in enumerate(called, 1):
        at = {"item_id": item["id"], "output_index": index}
        events += [
            {"type": "response.output_item.added", "output_index": index, "item": {**item, "arguments": ""}},
            {"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]},
            {
                "type": "response.function_call_arguments.done",
                **at,
                "name": item["name"],
                "arguments": item["arguments"],
            },
            {"type": "response.output_item.done", "output_index": index, "item": item},
        ]
    events.append({"type": "response.completed", "response": whole})
    for number, event in enumerate(events):
        yield event["type"], json.dumps({**event, "sequence_number": number})
