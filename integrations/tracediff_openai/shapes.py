"""Call shapes of the openai client: chat completions, responses, token counts, legacy completions, embeddings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
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
    first,
    items,
    numbered,
    one_or_all,
    read,
)
from tracediff.capture.values import Placeholder


def _usage(usage: object) -> dict[str, Any]:
    """Return token counts; chat and responses name the same things differently."""
    if usage is None:
        return {}
    fields = fields_of(usage)
    sent, written = ("input", "output") if "input_tokens" in fields else ("prompt", "completion")
    counts = {
        keys.USAGE_INPUT_TOKENS: fields.get(f"{sent}_tokens"),
        keys.USAGE_OUTPUT_TOKENS: fields.get(f"{written}_tokens"),
    }
    if (cached := fields.get(f"{sent}_tokens_details")) is not None:
        counts[keys.USAGE_CACHE_READ_TOKENS] = read(cached, "cached_tokens")
        counts[keys.USAGE_CACHE_WRITE_TOKENS] = read(cached, "cache_write_tokens")
    if (reasoning := fields.get(f"{written}_tokens_details")) is not None:
        counts[keys.USAGE_REASONING_TOKENS] = read(reasoning, "reasoning_tokens")
    return counts


def _answer(source: object, finish_reasons: list[str], usage: object) -> dict[str, Any]:
    """Return the attributes that every answer has."""
    return answered(source, finish_reasons, _usage(usage))


def _said(answer: object, finish_reasons: list[str]) -> Callable[[], dict[str, Any]]:
    """Return what reads the attributes of an answer later, without holding the answer."""
    fields = fields_of(answer)
    usage = fields.get("usage")
    head = {"id": fields.get("id"), "model": fields.get("model")}
    return functools.partial(_answer, head, finish_reasons, None if usage is None else dict(fields_of(usage)))


# Chat completions


_THOUGHTS = ("reasoning_content", "reasoning")
"""Where other providers of the same API put what was thought."""
_BESIDE = ("tool_calls", "function_call", "refusal", "audio", *_THOUGHTS)
"""Fields of a message beside its text."""


def _chat_message(message: object) -> dict[str, Any]:
    """Return an assistant message without its role and empty fields; parsed objects are the program's own."""
    fields = fields_of(message)
    if not any(fields.get(name) for name in _BESIDE) and "parsed" not in fields:
        return {"content": content} if (content := fields.get("content")) else {}  # what most are
    called = [
        filled(id=read(call, "id"), name=read(body, "name"), arguments=first(body, "arguments", "input"))
        for call in items(fields, "tool_calls")
        if (body := read(call, "function") or read(call, "custom")) is not None
    ]
    if (legacy := fields.get("function_call")) is not None:
        called.append(filled(name=read(legacy, "name"), arguments=read(legacy, "arguments")))
    return filled(
        content=fields.get("content"),
        transcript=read(fields.get("audio"), "transcript"),
        thinking=first(fields, *_THOUGHTS),
        refusal=fields.get("refusal"),
        tool_calls=called,
        parsed=fields.get("parsed"),
    )


def _choices_reply(answer: object, output_of: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Reply:
    """Read an answer that is a list of choices."""
    fields = fields_of(answer)
    choices = [fields_of(choice) for choice in items(fields, "choices")]
    reasons = [reason for choice in choices if (reason := choice.get("finish_reason"))]
    whole = bool(choices) and len(reasons) == len(choices)
    output = one_or_all([output_of(choice) for choice in choices])
    return Reply(output, _said(fields, reasons), whole)


def chat_reply(answer: object) -> Reply:
    """Read a chat completion."""
    return _choices_reply(answer, lambda choice: _chat_message(choice.get("message")))


def completion_reply(answer: object) -> Reply:
    """Read a legacy text completion."""
    return _choices_reply(answer, lambda choice: filled(content=choice.get("text")))


_PIECES = {"content": "content", "refusal": "refusal", "audio": "transcript", **dict.fromkeys(_THOUGHTS, "thinking")}
"""Field of a delta -> field of the message."""


@dataclass(slots=True)
class _Choice:
    """One choice of a stream while it grows."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    """Field of the message -> its pieces."""
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    finish_reason: str | None = None

    def add(self, delta: object) -> None:
        """Take in one delta."""
        fields = fields_of(delta)
        for name, piece in fields.items():
            if piece and (known := _PIECES.get(name)) is not None:
                self.put(known, piece if name != "audio" else read(piece, "transcript"))
        for position, piece in enumerate(items(fields, "tool_calls")):
            self._add_call(position, piece)
        if (legacy := fields.get("function_call")) is not None:
            self._add_call(0, {"function": legacy})

    def put(self, name: str, piece: object) -> None:
        """Take in a piece of one field."""
        if isinstance(piece, str):
            self.texts.setdefault(name, []).append(piece)

    def _add_call(self, position: int, piece: object) -> None:
        index = numbered(read(piece, "index"), position)
        call = self.calls.setdefault(index, {"id": None, "name": None, "arguments": []})
        call["id"] = call["id"] or read(piece, "id")
        body = read(piece, "function") or read(piece, "custom")
        call["name"] = call["name"] or read(body, "name")
        if isinstance(text := first(body, "arguments", "input"), str):
            call["arguments"].append(text)

    def message(self) -> dict[str, Any]:
        """Return the message so far."""
        called = [
            filled(id=call["id"], name=call["name"], arguments="".join(call["arguments"]))
            for _, call in sorted(self.calls.items())
        ]
        return filled(**{name: "".join(pieces) for name, pieces in sorted(self.texts.items())}, tool_calls=called)


class ChatFold:
    """Folds chunks of chat completions, or of legacy completions, whose choices hold plain text."""

    def __init__(self, *, is_legacy: bool = False) -> None:
        self._is_legacy = is_legacy
        self._choices: dict[int, _Choice] = {}
        self._head: object = None
        self._usage: object = None

    def add(self, event: object) -> None:
        """Take in one chunk; the last one may carry usage and no choice."""
        if self._head is None:
            self._head = event
        said = fields_of(event)
        for choice in items(said, "choices"):
            fields = fields_of(choice)
            index = numbered(fields.get("index"))
            state = self._choices.get(index)
            if state is None:
                state = self._choices[index] = _Choice()
            if not self._is_legacy:
                state.add(fields.get("delta"))
            else:
                state.put("content", fields.get("text"))
            state.finish_reason = fields.get("finish_reason") or state.finish_reason
        self._usage = said.get("usage") or self._usage

    def reply(self) -> Reply:
        """Return the message of each choice so far."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
        whole = bool(choices) and len(reasons) == len(choices)
        output = one_or_all([choice.message() for choice in choices])
        return Reply(output, _said({**fields_of(self._head), "usage": self._usage}, reasons), whole)


# Responses


def responses_reply(answer: object) -> Reply:
    """Read a response: its message texts, refusals and function calls, in order."""
    texts: list[str] = []
    thoughts: list[str] = []
    refusals: list[str] = []
    called: list[dict[str, Any]] = []
    parsed: list[Any] = []
    for item in items(answer, "output"):
        if read(item, "type") in ("function_call", "custom_tool_call"):
            arguments = first(item, "arguments", "input")
            called.append(filled(id=read(item, "call_id"), name=read(item, "name"), arguments=arguments))
        if read(item, "type") == "reasoning":
            thoughts += [
                text for part in (*items(item, "summary"), *items(item, "content")) if (text := read(part, "text"))
            ]
        for part in items(item, "content") if read(item, "type") == "message" else []:
            texts += [text for text in (read(part, "text"),) if text]
            refusals += [text for text in (read(part, "refusal"),) if text]
            parsed += [value for value in (read(part, "parsed"),) if value is not None]
    output = filled(
        content=one_or_all(texts),
        thinking=one_or_all(thoughts),
        refusal=one_or_all(refusals),
        tool_calls=called,
        parsed=one_or_all(parsed),
    )
    reasons = _response_reasons(answer, bool(called))
    return Reply(output or None, _said(answer, reasons), bool(reasons))


def _response_reasons(answer: object, is_calling: bool) -> list[str]:
    """Return the status of a response in the words of finish reasons; empty while it is not finished."""
    match read(answer, "status"):
        case "completed":
            return ["tool_calls" if is_calling else "stop"]
        case "incomplete":
            reason = read(read(answer, "incomplete_details"), "reason")
            return ["length" if reason == "max_output_tokens" else str(reason or "incomplete")]
        case "failed":
            return ["error"]
        case str() as status:  # cancelled; queued and in_progress in the background
            return [status]
        case _:
            return []


_BEGUN = ("response.created", "response.in_progress", "response.queued")
_FINAL = ("response.completed", "response.incomplete", "response.failed")


class ResponsesFold:
    """Folds response events: the final event holds the whole response, text deltas stand in for it until then."""

    def __init__(self) -> None:
        self._response: object = None
        self._is_final = False
        self._texts: dict[tuple[int, int], list[str]] = {}

    def add(self, event: object) -> None:
        """Take in one event."""
        kind = read(event, "type")
        if kind == "response.output_text.delta" and isinstance(text := read(event, "delta"), str):
            at = numbered(read(event, "output_index")), numbered(read(event, "content_index"))
            self._texts.setdefault(at, []).append(text)
        elif kind in _FINAL or kind in _BEGUN:
            self._response = read(event, "response")
            self._is_final = kind in _FINAL

    def reply(self) -> Reply:
        """Return the final response, or the texts so far."""
        if self._is_final:
            return responses_reply(self._response)
        texts = ["".join(parts) for _, parts in sorted(self._texts.items())]
        output = {"content": one_or_all(texts)} if texts else None
        return Reply(output, _said({**fields_of(self._response), "usage": None}, []), is_whole=False)


# Embeddings


def embeddings_reply(answer: object) -> Reply:
    """Read embeddings: a vector is a placeholder with its length, and the program's own list is recognised later."""
    vectors = [read(item, "embedding") for item in items(answer, "data")]
    named = [Placeholder(f"vector of {len(vector)}" if vector else "vector", "vector") for vector in vectors]
    held = tuple((f"vectors[{index}]", vector) for index, vector in enumerate(vectors) if isinstance(vector, list))
    output = {"vectors": named} if vectors else None
    return Reply(output, _said(answer, []), bool(vectors), held)


_INPUTS = ("instructions", "input", "tools", "prompt")
_SHAPES = {
    "/chat/completions": Shape("chat", "chat", ("messages", "tools", "functions"), chat_reply, ChatFold),
    "/responses": Shape("responses", "chat", _INPUTS, responses_reply, ResponsesFold),
    "/responses/input_tokens": Shape(
        "input_tokens", "count_tokens", _INPUTS, count_reply, functools.partial(WholeOnly, count_reply), kind="function"
    ),
    "/embeddings": Shape(
        "embeddings",
        "embeddings",
        ("input",),
        embeddings_reply,
        functools.partial(WholeOnly, embeddings_reply),
        kind="function",
    ),
    "/completions": Shape(
        "completions",
        "text_completion",
        ("prompt", "suffix"),
        completion_reply,
        functools.partial(ChatFold, is_legacy=True),
    ),
}


@functools.lru_cache(maxsize=512)
def shape_of(method: str, url: str) -> Shape | None:
    """Return the shape of a request; None for a path that is not recorded (files, images, stored responses)."""
    if method.lower() != "post":
        return None
    path = url.partition("?")[0].rstrip("/")
    # The longer path stands first in the table: a chat completion ends with "/completions" too.
    return next((shape for suffix, shape in _SHAPES.items() if path.endswith(suffix)), None)
