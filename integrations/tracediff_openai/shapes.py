"""Call shapes: what stands in a request and in a reply of each traced path, as plain values.

Everything is read by key or by attribute, so pydantic objects of any client version, plain mappings and decoded bytes
go the same way, and the strings that come out are the very objects that the program itself gets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tracediff import attributes as keys


@dataclass(frozen=True, slots=True)
class Reply:
    """What a record keeps of an answer."""

    output: object
    """``{"content": str, "tool_calls": [{"id", "name", "arguments"}], ...}``, a list of such for several choices."""
    attributes: dict[str, Any]
    is_whole: bool
    """The provider said that it had finished (a finish reason stands in every choice)."""


class Fold(Protocol):
    """Gathers the events of one stream into a reply."""

    def add(self, event: object) -> None:
        """Take in the next event."""
        ...

    def reply(self) -> Reply:
        """Return what came so far."""
        ...


@dataclass(frozen=True, slots=True)
class Shape:
    """One traced path of the API."""

    suffix: str
    """Ends the record's name: ``app.answer:chat``."""
    operation: str
    """``gen_ai.operation.name``."""
    inputs: tuple[str, ...]
    """Request fields that are inputs; every other one is a setting."""
    reply: Callable[[object], Reply]
    """Read a whole answer."""
    fold: Callable[[], Fold]
    """Begin a streamed one."""


def read(source: object, key: str) -> Any:
    """Return a field of a mapping or an attribute of an object; None where there is none."""
    return source.get(key) if isinstance(source, Mapping) else getattr(source, key, None)


def items(source: object, key: str) -> list[Any]:
    """Return a field that holds a list; empty where there is none."""
    value = read(source, key)
    return list(value) if isinstance(value, list | tuple) else []


_SETTINGS = {
    "model": keys.REQUEST_MODEL,
    "max_tokens": keys.REQUEST_MAX_TOKENS,
    "max_completion_tokens": keys.REQUEST_MAX_TOKENS,
    "max_output_tokens": keys.REQUEST_MAX_TOKENS,
    "temperature": keys.REQUEST_TEMPERATURE,
    "top_p": keys.REQUEST_TOP_P,
    "seed": keys.REQUEST_SEED,
    "frequency_penalty": keys.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": keys.REQUEST_PRESENCE_PENALTY,
    "n": keys.REQUEST_CHOICE_COUNT,
    "stream": keys.REQUEST_STREAM,
}


def inputs_of(shape: Shape, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request's inputs, in the order of ``shape.inputs``."""
    return {key: body[key] for key in shape.inputs if body.get(key) is not None}


def settings_of(shape: Shape, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request's settings: GenAI keys for the known ones, one mapping for all others."""
    found: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for key, value in body.items():
        if key in shape.inputs or value is None:
            continue
        if key in _SETTINGS:
            found[_SETTINGS[key]] = value
        elif key == "stop":
            found[keys.REQUEST_STOP_SEQUENCES] = [value] if isinstance(value, str) else list(value)
        else:
            others[key] = value
    wanted = body.get("response_format") or read(body.get("text"), "format")
    if kind := read(wanted, "type"):
        found[keys.OUTPUT_TYPE] = "text" if kind == "text" else "json"
    if others:
        found[keys.REQUEST_SETTINGS] = others
    return found


def _usage(usage: object) -> dict[str, Any]:
    """Return token counts; chat and responses name the same things differently."""
    cached = read(usage, "prompt_tokens_details") or read(usage, "input_tokens_details")
    reasoning = read(usage, "completion_tokens_details") or read(usage, "output_tokens_details")
    counts = {
        keys.USAGE_INPUT_TOKENS: _first(usage, "prompt_tokens", "input_tokens"),
        keys.USAGE_OUTPUT_TOKENS: _first(usage, "completion_tokens", "output_tokens"),
        keys.USAGE_CACHE_READ_TOKENS: read(cached, "cached_tokens"),
        keys.USAGE_REASONING_TOKENS: read(reasoning, "reasoning_tokens"),
    }
    return {key: count for key, count in counts.items() if isinstance(count, int)}


def _first(source: object, *names: str) -> Any:
    """Return the first field of ``names`` that is not None."""
    return next((value for name in names if (value := read(source, name)) is not None), None)


def _answer(source: object, finish_reasons: list[str], usage: object) -> dict[str, Any]:
    """Return the attributes that every answer has."""
    found = {keys.RESPONSE_ID: read(source, "id"), keys.RESPONSE_MODEL: read(source, "model")}
    found = {key: value for key, value in found.items() if value is not None}
    if finish_reasons:
        found[keys.RESPONSE_FINISH_REASONS] = finish_reasons
    return found | _usage(usage)


def _without_none(**fields: Any) -> dict[str, Any]:
    """Return the fields that hold something."""
    return {
        key: value for key, value in fields.items() if value or not (value is None or isinstance(value, str | list))
    }


def _one_or_all(outputs: list[Any]) -> object:
    """Return the only output, a list of several, or None."""
    return outputs[0] if len(outputs) == 1 else outputs or None


# Chat completions


def _chat_message(message: object) -> dict[str, Any]:
    """Return an assistant message without its role and empty fields; parsed objects are the program's own."""
    called = [
        _without_none(id=read(call, "id"), name=read(body, "name"), arguments=_first(body, "arguments", "input"))
        for call in items(message, "tool_calls")
        if (body := read(call, "function") or read(call, "custom")) is not None
    ]
    if (legacy := read(message, "function_call")) is not None:
        called.append(_without_none(name=read(legacy, "name"), arguments=read(legacy, "arguments")))
    return _without_none(
        content=read(message, "content"),
        refusal=read(message, "refusal"),
        tool_calls=called,
        parsed=read(message, "parsed"),
    )


def chat_reply(answer: object) -> Reply:
    """Read a chat completion."""
    choices = items(answer, "choices")
    reasons = [reason for choice in choices if (reason := read(choice, "finish_reason"))]
    outputs = [_chat_message(read(choice, "message")) for choice in choices]
    whole = bool(choices) and len(reasons) == len(choices)
    return Reply(_one_or_all(outputs), _answer(answer, reasons, read(answer, "usage")), whole)


@dataclass(slots=True)
class _Choice:
    """One choice of a stream while it grows."""

    content: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    finish_reason: str | None = None

    def add(self, delta: object) -> None:
        """Take in one delta."""
        if text := read(delta, "content"):
            self.content.append(text)
        if text := read(delta, "refusal"):
            self.refusal.append(text)
        for position, piece in enumerate(items(delta, "tool_calls")):
            self._add_call(position, piece)
        if (legacy := read(delta, "function_call")) is not None:
            self._add_call(0, {"function": legacy})

    def _add_call(self, position: int, piece: object) -> None:
        index = read(piece, "index")
        call = self.calls.setdefault(position if index is None else index, {"id": None, "name": None, "arguments": []})
        call["id"] = call["id"] or read(piece, "id")
        function = read(piece, "function")
        call["name"] = call["name"] or read(function, "name")
        if text := read(function, "arguments"):
            call["arguments"].append(text)

    def message(self) -> dict[str, Any]:
        """Return the message so far."""
        called = [
            _without_none(id=call["id"], name=call["name"], arguments="".join(call["arguments"]))
            for _, call in sorted(self.calls.items())
        ]
        return _without_none(content="".join(self.content), refusal="".join(self.refusal), tool_calls=called)


class ChatFold:
    """Folds chat completion chunks."""

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._head: object = None
        self._usage: object = None

    def add(self, event: object) -> None:
        """Take in one chunk; the last one may carry usage and no choice."""
        if self._head is None:
            self._head = event
        for choice in items(event, "choices"):
            state = self._choices.setdefault(read(choice, "index") or 0, _Choice())
            state.add(read(choice, "delta"))
            if isinstance(text := read(choice, "text"), str):  # legacy completions
                state.content.append(text)
            state.finish_reason = read(choice, "finish_reason") or state.finish_reason
        self._usage = read(event, "usage") or self._usage

    def reply(self) -> Reply:
        """Return the message of each choice so far."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
        whole = bool(choices) and len(reasons) == len(choices)
        attributes = _answer(self._head, reasons, self._usage)
        return Reply(_one_or_all([choice.message() for choice in choices]), attributes, whole)


def completion_reply(answer: object) -> Reply:
    """Read a legacy text completion."""
    choices = items(answer, "choices")
    reasons = [reason for choice in choices if (reason := read(choice, "finish_reason"))]
    outputs = [_without_none(content=read(choice, "text")) for choice in choices]
    whole = bool(choices) and len(reasons) == len(choices)
    return Reply(_one_or_all(outputs), _answer(answer, reasons, read(answer, "usage")), whole)


# Responses


def responses_reply(answer: object) -> Reply:
    """Read a response: its message texts, refusals and function calls, in order."""
    texts: list[str] = []
    refusals: list[str] = []
    called: list[dict[str, Any]] = []
    parsed: list[Any] = []
    for item in items(answer, "output"):
        if read(item, "type") in ("function_call", "custom_tool_call"):
            arguments = _first(item, "arguments", "input")
            called.append(_without_none(id=read(item, "call_id"), name=read(item, "name"), arguments=arguments))
        for part in items(item, "content") if read(item, "type") == "message" else []:
            texts += [text for text in (read(part, "text"),) if text]
            refusals += [text for text in (read(part, "refusal"),) if text]
            parsed += [value for value in (read(part, "parsed"),) if value is not None]
    output = _without_none(
        content=_one_or_all(texts), refusal=_one_or_all(refusals), tool_calls=called, parsed=_one_or_all(parsed)
    )
    reasons = _response_reasons(answer, bool(called))
    return Reply(output or None, _answer(answer, reasons, read(answer, "usage")), bool(reasons))


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
        if kind == "response.output_text.delta" and (text := read(event, "delta")):
            at = (read(event, "output_index") or 0, read(event, "content_index") or 0)
            self._texts.setdefault(at, []).append(text)
        elif (response := read(event, "response")) is not None:
            self._response = response
            self._is_final = kind in _FINAL

    def reply(self) -> Reply:
        """Return the final response, or the texts so far."""
        if self._is_final:
            return responses_reply(self._response)
        texts = ["".join(parts) for _, parts in sorted(self._texts.items())]
        output = {"content": _one_or_all(texts)} if texts else None
        return Reply(output, _answer(self._response, [], None), is_whole=False)


_SHAPES = {
    "/chat/completions": Shape("chat", "chat", ("messages", "tools", "functions"), chat_reply, ChatFold),
    "/responses": Shape(
        "responses", "chat", ("instructions", "input", "tools", "prompt"), responses_reply, ResponsesFold
    ),
    "/completions": Shape("completions", "text_completion", ("prompt", "suffix"), completion_reply, ChatFold),
}


def shape_of(method: str, url: str) -> Shape | None:
    """Return the shape of a request; None for a path that is not traced (embeddings, files, stored responses)."""
    if method.lower() != "post":
        return None
    path = url.split("?", 1)[0].rstrip("/")
    # The longer path stands first in the table: a chat completion ends with "/completions" too.
    return next((shape for suffix, shape in _SHAPES.items() if path.endswith(suffix)), None)
