"""Content on spans, opt-in: GenAI messages as JSON strings, and the whole record, from which it can be rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tracediff import attributes as keys
from tracediff.capture import codec, messages
from tracediff.capture.records import SpanRecord
from tracediff.capture.values import Cut, Obj, Value
from tracediff.errors import DataError

_MAX_VARIABLES = 8
"""Prompt arguments that become attributes of their own; all of them stand in the record."""


def clean(text: str) -> str:
    """Return a text that protocol buffers can hold: lone surrogates become question marks.

    One text that can't be encoded would cost the exporter its whole batch.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def of_record(record: SpanRecord) -> dict[str, str]:
    """Return the content attributes of a record that viewers know."""
    found: dict[str, str] = {}
    match record.kind:
        case "llm":
            found = {key: _dumped(value) for key, value in of_model(record).items()}
        case "prompt":
            arguments = list(record.inputs.items())[:_MAX_VARIABLES]
            found = {keys.PROMPT_VARIABLE_PREFIX + clean(name): _text(value) for name, value in arguments}
        case "tool":
            found = {keys.TOOL_CALL_ARGUMENTS: _json(dict(record.inputs)), keys.TOOL_CALL_RESULT: _json(record.output)}
        case "retriever":
            query = next((value for value in record.inputs.values() if isinstance(value, str)), "")
            found = {keys.RETRIEVAL_QUERY: clean(query), keys.RETRIEVAL_DOCUMENTS: _json(record.output)}
        case _:
            pass
    return found


def of_model(record: SpanRecord) -> dict[str, Any]:
    """Return the messages of a model call as structures, which an event carries."""
    found: dict[str, Any] = {keys.INPUT_MESSAGES: messages.asked(record.inputs)}
    if instructions := messages.instructed(record.inputs):
        found[keys.SYSTEM_INSTRUCTIONS] = instructions
    if tools := messages.offered(record.inputs):
        found[keys.TOOL_DEFINITIONS] = tools
    is_failed = record.error is not None or keys.FAULT in record.attributes
    reasons = record.attributes.get(keys.RESPONSE_FINISH_REASONS)
    found[keys.OUTPUT_MESSAGES] = messages.answered(record.output, reasons, is_failed=is_failed)
    return {key: _plain(value) for key, value in found.items()}


def _text(value: Value) -> str:
    """Return a string as it is, anything else as JSON."""
    return clean(value) if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    """Return a snapshot as readable JSON; typed objects become mappings, lone surrogates question marks."""
    return _dumped(_plain(value))


def _dumped(plain: Any) -> str:
    return orjson.dumps(plain, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _plain(value: Any) -> Any:
    """Return a snapshot without its own types."""
    match value:
        case str():
            return clean(value)
        case bool() | float() | None:
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else str(value)
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            return {_plain(key) if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
        case Obj():
            return {key: _plain(item) for key, item in value.fields.items()}
        case Cut():
            return _plain(value.head)
        case _:
            return f"<{value.type}>"


def record_attributes(record: SpanRecord) -> dict[str, str]:
    """Return the attributes from which ``record_from_attributes`` makes the identical record.

    References stand in an attribute of their own, because some collectors drop the span links that say the same.
    """
    tree = codec.record_tree(record)
    refs = tree.pop("refs")
    return {keys.RECORD: codec.write_tree(tree), keys.REFS: codec.write_tree(refs)}


def record_from_attributes(attributes: Mapping[str, Any]) -> SpanRecord | None:
    """Return the record that ``record_attributes`` wrote; None when it is not there or was cut on the way."""
    texts = attributes.get(keys.RECORD), attributes.get(keys.REFS)
    if not (isinstance(texts[0], str) and isinstance(texts[1], str)):
        return None
    try:
        tree = codec.read_tree(texts[0])
        return codec.record_from_tree({**tree, "refs": codec.read_tree(texts[1])})
    except (DataError, TypeError):
        return None
