"""Values and records as JSON and back. The round trip is identity.

orjson does the work; what it refuses is tagged: ``{"$tuple": [...]}``, ``$str`` (lone surrogates), ``$int`` (over
64 bits), ``$float`` (NaN, infinity), ``$dict`` (other keys than plain strings), ``$bytes``, and our own ``$obj``,
``$cut``, ``$opaque``.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.values import Cut, Obj, Placeholder, Value
from tracediff.errors import DataError
from tracediff.parameters import Parameter

_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1


def encode(value: Value | bytes) -> Any:
    """Return ``value`` as a tree that JSON can hold. Raises DataError for what is no Value."""
    kind = type(value)
    if kind is str:
        return _encode_text(value)  # type: ignore[arg-type]
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if _INT_MIN <= value <= _INT_MAX else {"$int": hex(value)}  # type: ignore[operator,arg-type]
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}  # type: ignore[arg-type]
    if kind is list:
        return [encode(item) for item in value]  # type: ignore[union-attr]
    encoder = _ENCODERS.get(kind)
    if encoder is None:
        raise DataError(f"a value of type {kind.__name__} can't be written; take a snapshot of it first")
    return encoder(value)


def _encode_text(text: str) -> Any:
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return {"$str": base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()}
    return text


def _encode_mapping(value: Mapping[Any, Value]) -> Any:
    if all(type(key) is str and not key.startswith("$") and type(_encode_text(key)) is str for key in value):
        return {key: encode(item) for key, item in value.items()}
    return {"$dict": [[encode(key), encode(item)] for key, item in value.items()]}


_ENCODERS: dict[type, Callable[[Any], Any]] = {
    tuple: lambda value: {"$tuple": [encode(item) for item in value]},
    dict: _encode_mapping,
    bytes: lambda value: {"$bytes": base64.b64encode(value).decode()},
    Obj: lambda value: {"$obj": encode(value.type), "fields": _encode_mapping(value.fields)},
    Cut: lambda value: {
        "$cut": encode(value.type),
        "head": encode(value.head),
        "length": encode(value.length),
        "digest": encode(value.digest),
    },
    Placeholder: lambda value: {"$opaque": encode(value.type), "reason": encode(value.reason)},
}


def decode(tree: Any) -> Any:
    """Return the value that ``encode`` made this tree from. Raises DataError for an unknown tag."""
    if type(tree) is list:
        return [decode(item) for item in tree]
    if type(tree) is not dict:
        return tree
    tag = next(iter(tree), "")
    if not tag.startswith("$"):
        return {key: decode(item) for key, item in tree.items()}
    decoder = _DECODERS.get(tag)
    if decoder is None:
        raise DataError(f"unknown tag {tag!r}; was this written by a newer tracediff?")
    return decoder(tree)


_DECODERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "$str": lambda tree: base64.b64decode(tree["$str"]).decode("utf-8", "surrogatepass"),
    "$int": lambda tree: int(tree["$int"], 16),
    "$float": lambda tree: float(tree["$float"]),
    "$tuple": lambda tree: tuple(decode(item) for item in tree["$tuple"]),
    "$dict": lambda tree: {decode(key): decode(item) for key, item in tree["$dict"]},
    "$bytes": lambda tree: base64.b64decode(tree["$bytes"]),
    "$obj": lambda tree: Obj(decode(tree["$obj"]), decode(tree["fields"])),
    "$cut": lambda tree: Cut(
        decode(tree["$cut"]), decode(tree["head"]), decode(tree["length"]), decode(tree["digest"])
    ),
    "$opaque": lambda tree: Placeholder(decode(tree["$opaque"]), decode(tree["reason"])),
}


def dumps(value: Value | bytes) -> str:
    """Return a value as one line of JSON. Raises DataError for what is no Value, or is nested too deep for JSON."""
    try:
        return write_tree(encode(value))
    except RecursionError:
        raise DataError("a value is nested too deep to be written as JSON") from None


def loads(text: str | bytes) -> Value:
    """Return the value of a line that ``dumps`` wrote. Raises DataError."""
    return decode(read_tree(text))  # type: ignore[no-any-return]


def write_tree(tree: Any) -> str:
    """Return a tree as one line of JSON."""
    try:
        return orjson.dumps(tree).decode()
    except TypeError:  # nested deeper than orjson goes
        return json.dumps(tree, ensure_ascii=False, separators=(",", ":"))


def read_tree(text: str | bytes) -> Any:
    """Return the tree of one line of JSON. Raises DataError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as refused:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise DataError(f"this is no JSON: {refused}") from None


def record_to_json(record: SpanRecord) -> str:
    """Return a record as one line of JSON."""
    try:
        return write_tree(record_tree(record))
    except RecursionError:
        raise DataError(f"record {record.id} of {record.name} is nested too deep to be written as JSON") from None


def record_from_json(line: str | bytes) -> SpanRecord:
    """Return the record of one line. Raises DataError, saying what is missing or wrong."""
    return record_from_tree(read_tree(line))


def record_tree(record: SpanRecord) -> dict[str, Any]:
    """Return a record as a tree that JSON can hold."""
    parameter = record.parameter
    return {
        "id": record.id,
        "run_id": record.run_id,
        "parent_id": record.parent_id,
        "name": encode(record.name),
        "kind": encode(record.kind),
        "start": record.start,
        "end": record.end,
        "start_ns": record.start_ns,
        "end_ns": record.end_ns,
        "inputs": _encode_mapping(record.inputs),
        "output": encode(record.output),
        "refs": [[encode(ref.path), ref.source, encode(ref.source_path), ref.producers] for ref in record.refs],
        "error": encode(record.error),
        "description": encode(record.description),
        "parameter": None if parameter is None else parameter_tree(parameter),
        "attributes": _encode_mapping(record.attributes),
    }


def record_from_tree(tree: Any) -> SpanRecord:
    """Return the record of a tree that ``record_tree`` made. Raises DataError."""
    try:
        return SpanRecord(
            id=_text(tree["id"]),
            run_id=_text(tree["run_id"]),
            parent_id=None if tree["parent_id"] is None else _text(tree["parent_id"]),
            name=_text(tree["name"]),
            kind=_text(tree["kind"]),
            start=int(tree["start"]),
            end=int(tree["end"]),
            start_ns=int(tree["start_ns"]),
            end_ns=int(tree["end_ns"]),
            inputs=_mapping(tree["inputs"]),
            output=decode(tree["output"]),
            refs=tuple(refs_from_tree(tree.get("refs") or [])),
            error=None if tree.get("error") is None else _text(tree["error"]),
            description=_text(tree.get("description") or ""),
            parameter=None if tree.get("parameter") is None else parameter_from_tree(tree["parameter"]),
            attributes=_mapping(tree.get("attributes") or {}),
        )
    except DataError:
        raise
    except KeyError as missing:
        raise DataError(f"a record lacks {missing}") from None
    except (TypeError, ValueError, AttributeError, IndexError) as wrong:
        raise DataError(f"this is no record: {wrong}") from None


def refs_from_tree(tree: Any) -> list[Ref]:
    """Return the references of a tree of [path, source, source path, producers]."""
    return [Ref(_text(path), _text(source), _text(at), int(producers)) for path, source, at, producers in tree]


def parameter_tree(parameter: Parameter) -> dict[str, Any]:
    """Return a parameter as a tree that JSON can hold."""
    tree = {
        "name": encode(parameter.name),
        "text": encode(parameter.text),
        "variables": [encode(name) for name in parameter.variables],
        "role": encode(parameter.role),
        "instruction": encode(parameter.instruction),
        "trainable": parameter.trainable,
        "frozen": [encode(part) for part in parameter.frozen],
        "max_chars": parameter.max_chars,
        "file": encode(parameter.file),
        "line": parameter.line,
    }
    return tree if parameter.is_declared else {**tree, "is_declared": False}


def parameter_from_tree(tree: Any) -> Parameter:
    """Return the parameter of a tree that ``parameter_tree`` made."""
    return Parameter(
        name=_text(tree["name"]),
        text=_text(tree["text"]),
        variables=tuple(_text(name) for name in tree.get("variables", ())),
        role=_text(tree.get("role", "")),
        instruction=_text(tree.get("instruction", "")),
        trainable=bool(tree.get("trainable", True)),
        frozen=tuple(_text(part) for part in tree.get("frozen", ())),
        max_chars=None if tree.get("max_chars") is None else int(tree["max_chars"]),
        file=_text(tree.get("file", "")),
        line=int(tree.get("line", 0)),
        is_declared=bool(tree.get("is_declared", True)),
    )


def _text(tree: Any) -> str:
    text = decode(tree)
    if type(text) is not str:
        raise DataError(f"expected text, found {type(text).__name__}")
    return text


def _mapping(tree: Any) -> dict[str, Value]:
    mapping = decode(tree)
    if type(mapping) is not dict:
        raise DataError(f"expected an object, found {type(mapping).__name__}")
    return mapping
