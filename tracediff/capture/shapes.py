"""How each type of object is read, without running any of its own code and without importing its library."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, EnumMeta
from functools import lru_cache
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, NamedTuple, TypeAlias

from tracediff.capture.values import Cut, Obj, Placeholder, Value
from tracediff.parameters import data_hash

REDACTED = Placeholder("str", "redacted")

_MISSING = object()
_SHARED_TYPES = (type, FunctionType, BuiltinFunctionType, MethodType, ModuleType, Enum)


class Parts(NamedTuple):
    """A container taken apart."""

    type: type
    shape: str
    """``list``, ``tuple``, ``dict``, or the type name of an ``Obj``."""
    pairs: Iterable[tuple[Any, object]]
    total: int
    is_keyed: bool


Reader: TypeAlias = Callable[[Any], "Parts | Value"]


def parts_of(obj: object) -> Parts | Value:
    """Return ``obj`` taken apart, or the value of an atom, or a placeholder. Never raises."""
    kind: type = type(obj)
    try:
        return _reader(kind)(obj)
    except Exception:  # user classes may break any rule, tracing must not
        return Placeholder(type_name(kind))


def type_name(kind: type) -> str:
    """Return ``module.qualname``, without the module for builtins."""
    try:
        module, name = type.__getattribute__(kind, "__module__"), type.__getattribute__(kind, "__qualname__")
    except Exception:  # a metaclass may forbid even this
        return "object"
    if type(module) is not str or module == "builtins":
        return str.__str__(name)
    return f"{module}.{name}"


def is_shared(obj: object) -> bool:
    """True for objects that CPython or the program shares between unrelated places: identity says nothing."""
    kind = type(obj)
    if kind is str or kind is bytes:
        return len(obj) <= 1  # type: ignore[arg-type]
    if kind is int:
        return -5 <= obj <= 256  # type: ignore[operator]
    if kind is dict or kind is list or kind is float:
        return False
    if kind is tuple or kind is frozenset:
        return not obj
    return kind is bool or obj is None or obj is ... or obj is NotImplemented or issubclass(kind, _SHARED_TYPES)


def key_value(key: object, position: int) -> Any:
    """Return the snapshot of a mapping's key; an unreadable one becomes a placeholder that stays unique."""
    kind = type(key)
    if kind in (str, int, float, bool, type(None)):
        return key
    if issubclass(kind, str):
        return str.__str__(key)
    if kind is tuple and all(type(part) in (str, int, float, bool, type(None)) for part in key):  # type: ignore[attr-defined]
        return key
    return Placeholder(type_name(kind), f"key {position}")


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORDS = frozenset(
    {"secret", "secrets", "password", "passwd", "passphrase", "pwd", "apikey", "credential", "credentials"}
)
_SECRET_ENDS = frozenset({"key", "token", "authorization"})
_CREDENTIAL_WORDS = frozenset(
    {
        "api",
        "access",
        "auth",
        "oauth",
        "bearer",
        "refresh",
        "session",
        "private",
        "signing",
        "encryption",
        "client",
        "service",
        "account",
        "subscription",
        "csrf",
        "jwt",
        "openai",
        "anthropic",
        "azure",
        "aws",
        "github",
        "hf",
        "license",
    }
)
"""Beside ``key`` or ``token`` they leave no doubt, unlike in ``answer_key`` or ``next_token``."""


@lru_cache(maxsize=4096)
def secrecy(name: str) -> int:
    """2: always a secret; 1: also a usual word for other things (a lookup key, a token of text); 0: no secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return 0
    if not _SECRET_WORDS.isdisjoint(words):
        return 2
    if words[-1] in _SECRET_ENDS:
        return 2 if words[-1] == "authorization" or not _CREDENTIAL_WORDS.isdisjoint(words) else 1
    return 0


def is_secret(name: str, value: object) -> bool:
    """True when a field of this name with this value is redacted: named like key, token, secret, password.

    A field whose name leaves a doubt (``key``, ``answer_key``) is redacted unless its value reads as words.
    """
    kind = type(value)
    if kind is not str and kind is not bytes and kind is not bytearray:
        return False
    certainty = secrecy(name)
    if certainty != 1 or kind is not str:
        return certainty > 0
    text: str = value  # type: ignore[assignment]
    return " " not in text and (len(text) >= 20 or any(character.isdigit() for character in text))


@lru_cache(maxsize=1024)
def _reader(kind: type) -> Reader:
    """Return how objects of this type are read."""
    ancestors = type.__dict__["__mro__"].__get__(kind)
    marks: dict[str, Any] = {}
    for cls in reversed(ancestors):
        marks.update(type.__dict__["__dict__"].__get__(cls))
    if issubclass(type(kind), EnumMeta):
        return _enum_reader(kind)
    if kind is Placeholder:
        return lambda obj: obj  # an integration's own: data that is not kept
    for base, reader in _ATOMS:
        if base in ancestors:
            return reader
    if "__pydantic_fields__" in marks or ("__pydantic_validator__" in marks and "__fields__" in marks):
        return _pydantic_reader(kind, ancestors)
    for mark in ("__dataclass_fields__", "__attrs_attrs__"):
        if mark in marks:
            declared = marks[mark]
            names = list(declared) if mark == "__dataclass_fields__" else [field.name for field in declared]
            return _fields_reader(kind, [str(name) for name in names], ancestors, marks)
    for base, reader in _CONTAINERS:
        if base in ancestors:
            return _namedtuple_reader(kind, marks["_fields"]) if base is tuple and "_fields" in marks else reader
    if kind is SimpleNamespace:
        return lambda obj: _keyed(kind, type_name(kind), dict(vars(obj)))
    if type_name(kind).startswith("numpy.") and any(cls.__name__ == "generic" for cls in ancestors):
        return _numpy_scalar
    name = type_name(kind)
    return lambda _: Placeholder(name)


def _keyed(kind: type, shape: str, fields: dict[Any, object]) -> Parts:
    return Parts(kind, shape, fields.items(), len(fields), is_keyed=True)


def _listed(kind: type, shape: str, items: list[object] | tuple[object, ...]) -> Parts:
    return Parts(kind, shape, enumerate(items), len(items), is_keyed=False)


def _bytes(obj: bytes | bytearray) -> Value:
    raw = bytes.join(b"", (obj,))
    return Cut("bytes", None, len(raw), data_hash(raw))


def _set(obj: Any) -> Parts:
    """Sets of texts are put in order, so that equal sets are equal values."""
    items = list((set if issubclass(type(obj), set) else frozenset).__iter__(obj))
    if all(type(item) is str for item in items):
        items.sort()
    return _listed(type(obj), "list", items)


_ATOMS: tuple[tuple[type, Reader], ...] = (
    (str, str.__str__),
    (bool, lambda obj: obj),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, _bytes),
    (bytearray, _bytes),
)
_CONTAINERS: tuple[tuple[type, Reader], ...] = (
    (list, lambda obj: _listed(type(obj), "list", list.copy(obj))),
    (tuple, lambda obj: _listed(type(obj), "tuple", tuple(tuple.__iter__(obj)))),
    (dict, lambda obj: _keyed(type(obj), "dict", dict.copy(obj))),
    (set, _set),
    (frozenset, _set),
    (deque, lambda obj: _listed(type(obj), "list", list(deque.__iter__(obj)))),
)


def _enum_reader(kind: type) -> Reader:
    """A member with text or a number as its value is that value; other members keep their name beside it."""
    name = type_name(kind)

    def read(obj: Any) -> Value:
        fields = object.__getattribute__(obj, "__dict__")
        value = fields.get("_value_")
        if issubclass(kind, str):
            return str.__str__(obj)
        if issubclass(kind, int):
            return int.__int__(obj)
        scalar = value if type(value) in (str, int, float, bool, type(None)) else Placeholder(type_name(type(value)))
        return Obj(name, {"name": str(fields.get("_name_", "")), "value": scalar})

    return read


def _numpy_scalar(obj: Any) -> Value:
    value = obj.item()  # numpy's own code, on a scalar of numpy's own
    if type(value) in (str, int, float, bool):
        return value  # type: ignore[no-any-return]
    return _bytes(value) if type(value) is bytes else Placeholder(type_name(type(obj)))


def _instance_dict(ancestors: tuple[type, ...]) -> Callable[[Any], dict[str, object]]:
    """Return what reads an instance's ``__dict__`` past any property of that name."""
    for cls in ancestors:
        descriptor = type.__dict__["__dict__"].__get__(cls).get("__dict__")
        if type(descriptor) is GetSetDescriptorType:
            return descriptor.__get__
    return lambda _: {}


def _pydantic_reader(kind: type, ancestors: tuple[type, ...]) -> Reader:
    """Fields as the instance holds them, so that the leaves are the very objects; then what the server sent extra."""
    instance_dict = _instance_dict(ancestors)
    name = type_name(kind)
    extra = next(
        (
            slot
            for cls in ancestors
            if type(slot := type.__dict__["__dict__"].__get__(cls).get("__pydantic_extra__")) is MemberDescriptorType
        ),
        None,
    )

    def read(obj: Any) -> Parts:
        fields = dict.copy(instance_dict(obj))
        if extra is not None:
            try:
                more = extra.__get__(obj)
            except AttributeError:  # never set
                more = None
            if type(more) is dict:
                fields.update(more)
        return _keyed(kind, name, fields)

    return read


def _fields_reader(kind: type, names: list[str], ancestors: tuple[type, ...], marks: dict[str, Any]) -> Reader:
    """Declared fields from the instance's dict or slots; properties of that name are not run."""
    instance_dict = _instance_dict(ancestors)
    slots = {field: marks[field] for field in names if type(marks.get(field)) is MemberDescriptorType}
    name = type_name(kind)

    def read(obj: Any) -> Parts:
        held = instance_dict(obj)
        fields: dict[str, object] = {}
        for field in names:
            value = held.get(field, _MISSING)
            if value is _MISSING and field in slots:
                try:
                    value = slots[field].__get__(obj)
                except AttributeError:  # an empty slot
                    continue
            if value is not _MISSING:
                fields[field] = value
        return _keyed(kind, name, fields)

    return read


def _namedtuple_reader(kind: type, names: tuple[str, ...]) -> Reader:
    name = type_name(kind)
    return lambda obj: _keyed(kind, name, dict(zip(names, tuple.__iter__(obj), strict=True)))
