"""What may leave of a content: the user's redaction hook and a limit on the length of each text.

A recording is never touched by either; graphs that are built in the process see everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tracediff.capture.faults import faults
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.values import Cut, Obj, Placeholder, Value
from tracediff.errors import UsageError
from tracediff.parameters import Parameter, text_hash

FAILED = "[redaction failed]"
"""Stands for a text that the hook could not judge: it stays here."""


class _Limits:
    """What ``instrument`` was told."""

    def __init__(self) -> None:
        self.redact: Callable[[str], str] | None = None
        self.max_chars: int | None = None


_limits = _Limits()


def limit(redact: Callable[[str], str] | None, max_chars: int | None) -> None:
    """Let texts leave only as ``redact`` returns them, and none longer than ``max_chars``."""
    if max_chars is not None and max_chars < 1:
        raise UsageError(f"max_content_chars must be at least 1, not {max_chars}; turn content off to export none")
    _limits.redact, _limits.max_chars = redact, max_chars


def is_changing() -> bool:
    """Tell whether exported texts may differ from the recorded ones, so that edges can't be inferred from them."""
    return _limits.redact is not None or _limits.max_chars is not None


def text(said: str) -> str:
    """Return one text as it may leave."""
    kept = _redacted(said)
    return kept if _limits.max_chars is None else kept[: _limits.max_chars]


def value(said: Any) -> Any:
    """Return a snapshot as it may leave: same shape, a text beyond the limit is a ``Cut``.

    A shape nested too deep for Python's stack leaves as a placeholder.
    """
    if not is_changing():
        return said
    try:
        return _value(said)
    except RecursionError:
        return Placeholder("nested", "depth")


def record(said: SpanRecord) -> SpanRecord:
    """Return a record as it may leave; the very record where nothing changes it."""
    if not is_changing():
        return said
    return replace(
        said,
        inputs={name: value(item) for name, item in said.inputs.items()},
        output=value(said.output),
        error=None if said.error is None else error(said.error),
        description=text(said.description),
        parameter=None if said.parameter is None else _parameter(said.parameter),
        attributes={key: value(item) for key, item in said.attributes.items()},
        refs=tuple(ref(item) for item in said.refs),
    )


def ref(said: Ref) -> Ref:
    """Return a reference as it may leave: its paths hold the keys of the program's mappings."""
    return Ref(text(said.path), said.source, text(said.source_path), said.producers)


def _redacted(said: str) -> str:
    if _limits.redact is None:
        return said
    try:
        kept = _limits.redact(said)
    except Exception as error:  # the user's hook
        faults.note("redacting a text", error)
        return FAILED
    return kept if isinstance(kept, str) else FAILED


def _value(said: Value) -> Value:
    match said:
        case str():
            kept = _redacted(said)
            if _limits.max_chars is None or len(kept) <= _limits.max_chars:
                return kept
            return Cut("str", kept[: _limits.max_chars], len(kept), text_hash(kept))
        case list():
            return [_value(item) for item in said]
        case tuple():
            return tuple(_value(item) for item in said)
        case dict():
            return {_redacted(key) if isinstance(key, str) else key: _value(item) for key, item in said.items()}
        case Obj():
            return Obj(said.type, {key: _value(item) for key, item in said.fields.items()})
        case Cut():
            return Cut(said.type, _value(said.head), said.length, said.digest)
        case _:
            return said


def error(said: str) -> str:
    """Return an error as it may leave; its type's name stays."""
    name, colon, message = said.partition(": ")
    return f"{name}{colon}{text(message)}" if colon else said


def _parameter(said: Parameter) -> Parameter:
    return replace(
        said,
        text=text(said.text),
        role=text(said.role),
        instruction=text(said.instruction),
        frozen=tuple(text(part) for part in said.frozen),
    )
