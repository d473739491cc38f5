"""Call shapes of the anthropic client: messages, whole and streamed, and token counts."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tracediff import attributes as keys
from tracediff.capture.stainless import Reply, Shape
from tracediff.capture.stainless.shape import (
    WholeOnly,
    answered,
    count_reply,
    fields_of,
    filled,
    items,
    numbered,
    one_or_all,
    read,
)

_TOOL_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")


def _usage(usage: object) -> dict[str, Any]:
    """Return token counts: the conventions count cached tokens among the input, the provider beside it."""
    sent = read(usage, "input_tokens")
    cached, written = read(usage, "cache_read_input_tokens"), read(usage, "cache_creation_input_tokens")
    return {
        keys.USAGE_INPUT_TOKENS: sent + (cached or 0) + (written or 0) if isinstance(sent, int) else None,
        keys.USAGE_OUTPUT_TOKENS: read(usage, "output_tokens"),
        keys.USAGE_CACHE_READ_TOKENS: cached,
        keys.USAGE_CACHE_WRITE_TOKENS: written,
        keys.USAGE_REASONING_TOKENS: read(read(usage, "output_tokens_details"), "thinking_tokens"),
    }


def message_reply(answer: object) -> Reply:
    """Read a message: its texts, what was thought, parsed objects and tool calls, each in order."""
    texts: list[Any] = []
    thoughts: list[Any] = []
    parsed: list[Any] = []
    called: list[dict[str, Any]] = []
    for block in items(answer, "content"):
        fields = fields_of(block)
        kind = fields.get("type")
        if kind == "text":
            texts.append(fields.get("text"))
            if (value := fields.get("parsed_output")) is not None:
                parsed.append(value)
        elif kind == "thinking":
            thoughts.append(fields.get("thinking"))
        elif kind in _TOOL_CALLS:
            called.append({"id": fields.get("id"), "name": fields.get("name"), "arguments": fields.get("input")})
    output = filled(
        content=one_or_all(texts), thinking=one_or_all(thoughts), tool_calls=called, parsed=one_or_all(parsed)
    )
    reasons = [reason for reason in (read(answer, "stop_reason"),) if reason]
    return Reply(output or None, _said(answer, reasons), bool(reasons))


def _said(answer: object, reasons: list[str]) -> Callable[[], dict[str, Any]]:
    """Return what reads the attributes of a message later, without holding the message."""
    fields = fields_of(answer)
    head = {"id": fields.get("id"), "model": fields.get("model")}
    usage = dict(fields_of(fields.get("usage")))
    return lambda: answered(head, reasons, _usage(usage))


@dataclass(slots=True)
class _Block:
    """One content block of a stream while it grows: ``pieces`` of text, of thought, or of a call's JSON."""

    kind: str
    start: object
    pieces: list[str] = field(default_factory=list)

    def whole(self) -> dict[str, Any]:
        """Return the block so far, as a message holds it."""
        text = "".join(self.pieces)
        if self.kind not in _TOOL_CALLS:
            return {"type": self.kind, self.kind: text}
        call = {"type": self.kind, "id": read(self.start, "id"), "name": read(self.start, "name")}
        try:
            return {**call, "input": json.loads(text) if text else read(self.start, "input")}
        except ValueError:  # cut in the middle
            return {**call, "input": text}


_PIECES = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class MessageFold:
    """Folds the events of a streamed message."""

    def __init__(self) -> None:
        self._message: object = None
        self._blocks: dict[int, _Block] = {}
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None

    def add(self, event: object) -> None:
        """Take in one event."""
        fields = fields_of(event)
        kind = fields.get("type")
        if kind == "content_block_delta":
            delta = fields_of(fields.get("delta"))
            name = _PIECES.get(str(delta.get("type")))
            block = self._blocks.get(numbered(fields.get("index"), -1))
            if name is not None and block is not None and isinstance(piece := delta.get(name), str):
                block.pieces.append(piece)
        elif kind == "content_block_start":
            start = read(event, "content_block")
            begun = _Block(str(read(start, "type")), start)
            begun.pieces += [text for text in (read(start, begun.kind),) if isinstance(text, str) and text]
            self._blocks[numbered(fields.get("index"), len(self._blocks))] = begun
        elif kind == "message_start":
            self._message = read(event, "message")
            self._count(read(self._message, "usage"))
        elif kind == "message_delta":
            self._stop_reason = read(read(event, "delta"), "stop_reason") or self._stop_reason
            self._count(read(event, "usage"))

    def _count(self, usage: object) -> None:
        """Take in token counts: a later event says the total so far, and nothing of what it does not repeat."""
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "output_tokens_details",
        ):
            if (count := read(usage, name)) is not None:
                self._usage[name] = count

    def reply(self) -> Reply:
        """Return the message so far."""
        return message_reply(
            {
                "id": read(self._message, "id"),
                "model": read(self._message, "model"),
                "content": [self._blocks[index].whole() for index in sorted(self._blocks)],
                "stop_reason": self._stop_reason,
                "usage": self._usage,
            }
        )


_INPUTS = ("system", "messages", "tools")
_MESSAGES = Shape("messages", "chat", _INPUTS, message_reply, MessageFold)
_COUNT = Shape(
    "count_tokens", "count_tokens", _INPUTS, count_reply, functools.partial(WholeOnly, count_reply), kind="function"
)


@functools.lru_cache(maxsize=512)
def shape_of(method: str, url: str) -> Shape | None:
    """Return the shape of a request; None for a path that is not recorded (batches, files, models)."""
    if method.lower() != "post":
        return None
    path = url.partition("?")[0].rstrip("/")
    if path.endswith("/v1/messages"):
        return _MESSAGES
    return _COUNT if path.endswith("/v1/messages/count_tokens") else None
