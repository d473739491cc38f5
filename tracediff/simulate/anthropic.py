"""The Anthropic wire format: message requests read, replies and event streams written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tracediff.simulate import wire
from tracediff.simulate.wire import Body

SHAPES = wire.with_schemas(
    {
        "model": (str,),
        "messages": (list,),
        "system": (str, list),
        "stream": (bool,),
        "tools": (list,),
        "tool_choice": (dict,),
        "output_config": (dict,),
        "output_config.format": (dict,),
        "output_format": (dict,),
    },
    "output_config.format.schema",
    "output_format.schema",
)
"""Path within a message request -> what may stand there."""


def as_chat(body: Body) -> dict[str, Any]:
    """Return a message request as the chat completion request that asks the same."""
    system = body.get("system")
    messages = [{"role": "system", "content": system}] if system else []
    chat: dict[str, Any] = {"model": body.get("model", ""), "messages": [*messages, *_messages(body)]}
    if (schema := _schema_of(body)) is not None:
        chat["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
    return chat


def _messages(body: Body) -> list[Any]:
    given = body.get("messages")
    return given if isinstance(given, list) else []


def _tool_of(body: Body) -> Body | None:
    """Return the tool that must be called."""
    name = (body.get("tool_choice") or {}).get("name")
    tools = body.get("tools") or []
    return next((tool for tool in tools if isinstance(tool, dict) and name and tool.get("name") == name), None)


def _schema_of(body: Body) -> Body | None:
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    tool = _tool_of(body)
    schema = wanted.get("schema") if tool is None else tool.get("input_schema")
    return schema if isinstance(schema, dict) else None


def error(message: str, kind: str) -> Body:
    """Return an error in the provider's shape."""
    return {"type": "error", "error": {"type": kind, "message": message}}


def token_count(body: Body) -> Body:
    """Return how many tokens a request has."""
    return {"input_tokens": wire.chat_completion(as_chat(body), "")["usage"]["prompt_tokens"]}


def message(body: Body, text: str) -> Body:
    """Return a whole message; a tool that must be called is called with the reply."""
    chat = wire.chat_completion(as_chat(body), text)
    identity = chat["id"].partition("-")[2]
    tool = _tool_of(body)
    block: dict[str, Any] = {"type": "text", "text": text, "citations": None}
    if tool is not None:
        block = {"type": "tool_use", "id": f"toolu_{identity}", "name": tool["name"], "input": _json(text)}
    usage = {"input_tokens": chat["usage"]["prompt_tokens"], "output_tokens": chat["usage"]["completion_tokens"]}
    return {
        "id": f"msg_{identity}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [block],
        "stop_reason": "end_turn" if tool is None else "tool_use",
        "stop_sequence": None,
        "usage": {**usage, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0},
    }


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"reply": text}


def message_events(body: Body, text: str) -> Iterator[tuple[str, str]]:
    """Yield (event name, data line) of a streamed message."""
    whole = message(body, text)
    (block,) = whole["content"]
    deltas = [{"type": "text_delta", "text": piece} for piece in re.findall(r"\s*\S+\s*", text)]
    start = {**block, "text": ""}
    if block["type"] == "tool_use":
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        start = {**block, "input": {}}
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 0}}
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": whole["usage"]["output_tokens"]}},
        {"type": "message_stop"},
    ]
    for event in events:
        yield event["type"], json.dumps(event)
