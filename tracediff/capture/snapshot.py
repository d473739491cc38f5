"""Snapshots of live objects: never ``repr``, never consuming an iterator, never an exception.

None of the program's own code runs while a snapshot is taken: only types are looked at, and fields are read from
where the interpreter keeps them. Libraries are recognised by the marks on their classes, not imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tracediff.capture.records import Ref
from tracediff.capture.shapes import REDACTED, Parts, is_secret, is_shared, key_value, parts_of, type_name
from tracediff.capture.values import Cut, Obj, Placeholder, Value
from tracediff.parameters import text_hash


class Caps(NamedTuple):
    """How much of one value is kept. Text cut at 1,024 characters costs edges a little, at 256 a lot."""

    depth: int = 64
    leaves: int = 20_000
    leaf_chars: int = 200_000
    chars: int = 2_000_000


CAPS = Caps()
_DIGESTED_ITEMS = 100_000
_ATOMS = frozenset({str, int, float, bool, type(None)})
_SECRET_KINDS = frozenset({str, bytes, bytearray})

Entry = tuple[object, str, str, int]
"""(the object, held so that its id is not reused; id of its latest producer; path in its output; producers)."""
Table = dict[int, Entry]


class _Frame:
    """A container half way through its walk."""

    __slots__ = ("identity", "items", "key", "keys", "pairs", "parts", "path")

    def __init__(self, obj: object, parts: Parts, path: str) -> None:
        self.identity = id(obj)
        self.parts = parts
        self.pairs: Iterator[tuple[Any, object]] = iter(parts.pairs)
        self.path = path
        self.keys: list[Any] = []
        self.items: list[Value] = []
        self.key: Any = None
        """Key of the item that is being walked in a frame of its own."""

    def at(self, key: Any) -> str:
        """Return the path of one item, spelled as ``values.leaves`` spells it."""
        if not self.parts.is_keyed:
            return f"{self.path}[{key}]"
        return f"{self.path}.{key}" if self.path else f"{key}"

    def add(self, key: Any, value: Value) -> None:
        self.keys.append(key)
        self.items.append(value)

    def close(self) -> Value:
        """Return the snapshot of this container."""
        shape = self.parts.shape
        if shape == "list":
            return self.items
        if shape == "tuple":
            return tuple(self.items)
        fields: dict[Any, Value] = dict(zip(self.keys, self.items, strict=True))
        return fields if shape == "dict" else Obj(shape, fields)


class Walk:
    """One walk over one value: a snapshot, and the references it holds (``refs``) or makes (``record``)."""

    __slots__ = ("caps", "chars", "leaves", "record", "refs", "table")

    def __init__(
        self,
        table: Table | None = None,
        *,
        refs: list[Ref] | None = None,
        record: str | None = None,
        caps: Caps = CAPS,
    ) -> None:
        """With ``refs``, look every object up in ``table``; with ``record``, enter it as that record's output."""
        self.table = {} if table is None else table
        self.refs = refs
        self.record = record
        self.caps = caps
        self.leaves = caps.leaves
        self.chars = caps.chars

    def take(self, root: object, path: str = "") -> Value:
        """Return the snapshot of ``root``, which stands at ``path``."""
        opened = self._open(root, path, frozenset(), 0)
        if type(opened) is not _Frame:
            return opened  # type: ignore[return-value]
        stack = [opened]
        active = {opened.identity}
        while True:
            frame = stack[-1]
            child = self._advance(frame, active, len(stack))
            if child is not None:
                stack.append(child)
                active.add(child.identity)
                continue
            value = self._cut(frame) if self.leaves <= 0 else frame.close()
            stack.pop()
            active.discard(frame.identity)
            if not stack:
                return value
            stack[-1].add(stack[-1].key, value)

    def _advance(self, frame: _Frame, active: set[int], depth: int) -> _Frame | None:
        """Take items of ``frame`` until one needs a frame of its own; None when it is complete or cut.

        The inner loop of every snapshot: what an atom needs is done here, without calls.
        """
        is_keyed, pairs, keys, items = frame.parts.is_keyed, frame.pairs, frame.keys, frame.items
        table, refs, room = self.table, self.refs, self.caps.leaf_chars
        while self.leaves > 0:
            try:
                key, item = next(pairs)
            except StopIteration:
                return None
            kind = type(item)
            if is_keyed:
                key = key_value(key, len(keys)) if type(key) is not str else key
                if kind in _SECRET_KINDS and type(key) is str and is_secret(key, item):
                    self._see(item, frame.at(key))
                    keys.append(key)
                    items.append(REDACTED)
                    continue
            if kind in _ATOMS and (kind is not str or len(item) <= room):  # type: ignore[arg-type]
                self.leaves -= 1
                if refs is not None:
                    entry = table.get(id(item))
                    if entry is not None and not is_shared(item):
                        refs.append(Ref(frame.at(key), entry[1], entry[2], entry[3]))
                elif self.record is not None and not is_shared(item):
                    enter(table, item, self.record, frame.at(key))
                keys.append(key)
                items.append(item if kind is not str else self._text(item))  # type: ignore[arg-type]
                continue
            opened = self._open(item, frame.at(key), active, depth)
            if type(opened) is _Frame:
                frame.key = key
                return opened
            keys.append(key)
            items.append(opened)  # type: ignore[arg-type]
        return None

    def _open(self, obj: object, path: str, active: set[int] | frozenset[int], depth: int) -> _Frame | Value:
        """Return the snapshot of an atom, or the frame of a container."""
        kind = type(obj)
        self.leaves -= 1
        if kind is str:
            self._see(obj, path)
            return self._text(obj)  # type: ignore[arg-type]
        if kind is int or kind is float:
            self._see(obj, path)
            return obj  # type: ignore[return-value]
        if kind is bool or obj is None:
            return obj  # type: ignore[return-value]
        parts = parts_of(obj)
        self._see(obj, path)
        if type(parts) is not Parts:
            return self._text(parts) if type(parts) is str else parts  # type: ignore[return-value]
        if id(obj) in active:
            return Placeholder(type_name(kind), "cycle")
        if depth >= self.caps.depth:
            return Placeholder(type_name(kind), "depth")
        return _Frame(obj, parts, path)

    def _see(self, obj: object, path: str) -> None:
        """Look up or enter one object."""
        refs = self.refs
        if refs is not None:
            entry = self.table.get(id(obj))
            if entry is not None and not is_shared(obj):
                refs.append(Ref(path, entry[1], entry[2], entry[3]))
        elif self.record is not None and not is_shared(obj):
            enter(self.table, obj, self.record, path)

    def _text(self, text: str) -> Value:
        """Return ``text``, cut where it passes a cap."""
        room = min(self.caps.leaf_chars, self.chars)
        self.chars -= min(len(text), room)
        if len(text) <= room:
            return text
        return Cut("str", text[:room], len(text), text_hash(text))

    def _cut(self, frame: _Frame) -> Value:
        """Return the head of a container that passed the cap on leaves; the digest is of the items after it."""
        if len(frame.items) >= frame.parts.total:
            return frame.close()
        from hashlib import sha256  # rare, and `import tracediff` stays light

        digest = sha256()
        for (key, item), _ in zip(frame.pairs, range(_DIGESTED_ITEMS), strict=False):
            for part in (key, item):
                if type(part) is str:
                    digest.update(part.encode("utf-8", "surrogatepass"))
                elif type(part) is int or type(part) is float:
                    digest.update(str(part).encode() if type(part) is float else hex(part).encode())  # type: ignore[arg-type]
            digest.update(b"\0")
        name = "dict" if frame.parts.shape == "dict" else type_name(frame.parts.type)
        return Cut(name, frame.close(), frame.parts.total, digest.hexdigest()[:16])


def enter(table: Table, obj: object, record: str, path: str) -> None:
    """Note that ``record`` put out ``obj`` at ``path``; several places in one output count once."""
    entry = table.get(id(obj))
    if entry is None:
        table[id(obj)] = (obj, record, path, 1)
    elif entry[1] != record:
        table[id(obj)] = (obj, record, path, entry[3] + 1)


def snapshot(obj: object) -> Value:
    """Return a snapshot of any object: what is readable as a ``Value``, a typed placeholder for the rest."""
    return Walk().take(obj)
