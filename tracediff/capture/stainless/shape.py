"""Call shapes: what stands in a request and in a reply of one path, as plain values.

Everything is read by key or by attribute, so pydantic objects of any client version, plain mappings and decoded bytes
go the same way, and the strings that come out are the very objects that the program itself gets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from tracediff import attributes as keys


class Reply(NamedTuple):
    """What a record keeps of an answer."""

    output: object
    """``{"content": str, "tool_calls": [{"id", "name", "arguments"}], ...}``, a list of such for several choices."""
    attributes: Callable[[], dict[str, Any]]
    """Reads what the answer says of itself; called at most once, when somebody wants to know.

    Until then a run holds it: it must hold neither the answer, which is large, nor what the program may change.
    """
    is_whole: bool
    """The provider said that it had finished (a finish reason stands in every choice)."""
    held: tuple[tuple[str, object], ...] = ()
    """(path in the output, object): what the program gets there and a record does not look into, as vectors."""


class Fold(Protocol):
    """Gathers the events of one stream into a reply."""

    def add(self, event: object) -> None:
        """Take in the next event."""
        ...

    def reply(self) -> Reply:
        """Return what came so far."""
        ...


class WholeOnly:
    """The fold of a path that has no event stream: the last event is the answer."""

    def __init__(self, reply: Callable[[object], Reply]) -> None:
        self._read = reply
        self._last: object = None

    def add(self, event: object) -> None:
        """Take in an event."""
        self._last = event

    def reply(self) -> Reply:
        """Return what the last event says."""
        return self._read(self._last)


@dataclass(frozen=True, slots=True)
class Shape:
    """One traced path of an API."""

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
    kind: str = "llm"
    """Kind of the record; what writes no text is a ``function``."""


_NONE: Mapping[str, Any] = MappingProxyType({})


def fields_of(source: object) -> Mapping[str, Any]:
    """Return the fields of a mapping or an object: what a pydantic object holds, then what the server sent extra."""
    if type(source) is dict:
        return source
    fields: dict[str, Any] | None = getattr(source, "__dict__", None)
    if fields is None:
        return source if isinstance(source, Mapping) else _NONE
    extra = getattr(source, "__pydantic_extra__", None)
    return {**fields, **extra} if extra else fields


def read(source: object, key: str) -> Any:
    """Return a field of a mapping or an object; None where there is none."""
    return fields_of(source).get(key)


def first(source: object, *names: str) -> Any:
    """Return the first field of ``names`` that is not None."""
    fields = fields_of(source)
    for name in names:
        if (value := fields.get(name)) is not None:
            return value
    return None


def items(source: object, key: str) -> list[Any]:
    """Return a field that holds a list; empty where there is none."""
    value = read(source, key)
    return list(value) if isinstance(value, list | tuple) else []


def numbered(index: object, default: int = 0) -> int:
    """Return the index of a part of a stream; a provider may send anything there."""
    return index if type(index) is int else default


def filled(**fields: Any) -> dict[str, Any]:
    """Return the fields that hold something."""
    return {
        key: value for key, value in fields.items() if value or not (value is None or isinstance(value, str | list))
    }


def one_or_all(outputs: list[Any]) -> object:
    """Return the only output, a list of several, or None."""
    return outputs[0] if len(outputs) == 1 else outputs or None


def answered(source: object, finish_reasons: list[str], counts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that every answer has: id, model, finish reasons and the token counts that are numbers."""
    found: dict[str, Any] = {}
    for name, key in (("id", keys.RESPONSE_ID), ("model", keys.RESPONSE_MODEL)):
        if isinstance(value := read(source, name), str):
            found[key] = value
    if finish_reasons:
        found[keys.RESPONSE_FINISH_REASONS] = finish_reasons
    found.update((key, count) for key, count in counts.items() if isinstance(count, int))
    return found


def count_reply(answer: object) -> Reply:
    """Read a token count: it is the answer, not what the call used."""
    count = read(answer, "input_tokens")
    return Reply(None if count is None else {"input_tokens": count}, dict, count is not None)


# Requests

_SETTINGS = {
    "model": keys.REQUEST_MODEL,
    "max_tokens": keys.REQUEST_MAX_TOKENS,
    "max_completion_tokens": keys.REQUEST_MAX_TOKENS,
    "max_output_tokens": keys.REQUEST_MAX_TOKENS,
    "temperature": keys.REQUEST_TEMPERATURE,
    "top_p": keys.REQUEST_TOP_P,
    "top_k": keys.REQUEST_TOP_K,
    "seed": keys.REQUEST_SEED,
    "frequency_penalty": keys.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": keys.REQUEST_PRESENCE_PENALTY,
    "n": keys.REQUEST_CHOICE_COUNT,
    "stream": keys.REQUEST_STREAM,
    "stop": keys.REQUEST_STOP_SEQUENCES,
    "stop_sequences": keys.REQUEST_STOP_SEQUENCES,
}
_ABSENT = frozenset({"NoneType", "Omit", "NotGiven"})
"""Types of what stands in a request for an argument that was not given."""


def is_given(value: object) -> bool:
    """Tell whether a field of a request is sent."""
    return type(value).__name__ not in _ABSENT


def settings_of(shape: Shape, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request's settings: GenAI keys for the known ones, one mapping for all others."""
    found: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in body.items():
        if name in shape.inputs or not is_given(value):
            continue
        key = _SETTINGS.get(name)
        if key is None:
            others[name] = value
        elif key != keys.REQUEST_STOP_SEQUENCES:
            found[key] = value
        elif isinstance(value, str | list | tuple):
            found[key] = [value] if isinstance(value, str) else list(value)
    if others:
        found[keys.REQUEST_SETTINGS] = others
        if (kind := _output_type(others)) is not None:
            found[keys.OUTPUT_TYPE] = kind
    return found


def _output_type(settings: Mapping[str, Any]) -> str | None:
    """Return ``json`` or ``text`` where the request says which: chat, responses and messages say it differently."""
    wanted = settings.get("response_format") or settings.get("output_format")
    wanted = wanted or read(settings.get("text"), "format") or read(settings.get("output_config"), "format")
    kind = read(wanted, "type")
    return None if not isinstance(kind, str) else "text" if kind == "text" else "json"
