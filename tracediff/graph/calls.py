"""The calls of one run in order, as a tree, with what is structure and what only hands values through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from tracediff.attributes import YIELDS
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.values import Cut, Obj, Value

LABELS = frozenset({
    "finish_reason", "index", "logprobs", "model", "object", "response_metadata", "role", "service_tier", "status",
    "stop_reason", "system_fingerprint", "type", "usage",
})  # fmt: skip
"""Fields of messages and responses whose short values are protocol, not content."""
IDS = frozenset({"id", "call_id", "tool_call_id", "tool_use_id", "previous_response_id", "response_id"})
"""Fields by which a later message points at an earlier one."""
_SOURCES_ONLY = frozenset({"llm", "prompt"})

Scalar = str | int | float | bool


@dataclass(slots=True, eq=False)
class Call:
    """A record at its place in the run."""

    record: SpanRecord
    position: int
    """Rank by start; every other module names calls by it."""
    index: int
    """Which call of this site, from 0."""
    parent: int | None = None
    children: list[int] = field(default_factory=list)
    is_passing: bool = False
    """The site always returns one argument unchanged."""
    is_own: bool = True
    """It puts out text of its own; a container only once something in its return has no other source."""

    @property
    def label(self) -> str:
        """``name#index``."""
        return f"{self.record.name}#{self.index}"

    def yields(self) -> list[int]:
        """Return the sequence numbers at which the items of a generator's output left it."""
        found = self.record.attributes.get(YIELDS)
        output = self.record.output
        if not isinstance(found, list) or not isinstance(output, list):
            return []
        return [at for at in found if isinstance(at, int)][: len(output)]

    def yielded(self, item: int) -> Value:
        """Return one item of a generator's output."""
        output = self.record.output
        assert isinstance(output, list)
        return output[item]

    def refs(self) -> dict[str, Ref]:
        """Return the identity references of the inputs by path."""
        return {ref.path: ref for ref in self.record.refs}


def ordered(records: Iterable[SpanRecord]) -> list[Call]:
    """Return the calls by start, duplicates of an id dropped, children attached where the parent is known."""
    known: dict[str, SpanRecord] = {}
    for record in records:
        other = known.get(record.id)
        if other is None or _rank(record) < _rank(other):
            known[record.id] = record
    calls: list[Call] = []
    indexes: dict[str, int] = {}
    positions: dict[str, int] = {}
    for record in sorted(known.values(), key=_rank):
        index = indexes[record.name] = indexes.get(record.name, -1) + 1
        positions[record.id] = len(calls)
        calls.append(Call(record, len(calls), index))
    for call in calls:
        parent = positions.get(call.record.parent_id or "")
        if parent is not None and parent < call.position:  # a parent starts before its child: no cycles
            call.parent = parent
            calls[parent].children.append(call.position)
            calls[parent].is_own = False
    _mark_passing(calls)
    return calls


def _rank(record: SpanRecord) -> tuple[int, int, str]:
    return record.start, record.end, record.id


def _mark_passing(calls: list[Call]) -> None:
    """Mark the calls of every site that, whenever it returned, returned the same argument unchanged."""
    passing: dict[str, set[str]] = {}
    # A list handed out for the first time was made anew, even if it holds what an argument held.
    made = {ref.source for call in calls for ref in call.record.refs if ref.producers == 1 and not ref.source_path}
    for call in calls:
        record = call.record
        if record.error is not None:
            continue
        if record.kind in _SOURCES_ONLY or call.children or (record.id in made and not isinstance(record.output, str)):
            passing[record.name] = set()
            continue
        names = passing.get(record.name)
        if names is None or names:
            same = {
                name
                for name, value in record.inputs.items()
                if (names is None or name in names) and is_same(value, record.output)
            }
            passing[record.name] = same
    for call in calls:
        call.is_passing = bool(passing.get(call.record.name)) and not call.children


def is_same(value: Value, other: Value) -> bool:
    """Return whether two snapshots are equal and have any content; True is not 1 here."""
    return type(value) is type(other) and value == other and value not in (None, "", True, False)


def leaves(value: Value, path: str) -> list[tuple[str, Scalar]]:
    """Return every scalar of a snapshot with its path, in document order."""
    if isinstance(value, (str, int, float)):
        return [(path, value)]
    found: list[tuple[str, Scalar]] = []
    stack: list[tuple[str, Value]] = [(path, value)]
    while stack:
        at, item = stack.pop()
        if isinstance(item, (str, int, float)):
            found.append((at, item))
        elif isinstance(item, (list, tuple)):
            stack += [(f"{at}[{i}]", item[i]) for i in range(len(item) - 1, -1, -1)]
        elif isinstance(item, (dict, Obj)):
            entries: Mapping[object, Value] = item.fields if isinstance(item, Obj) else item  # type: ignore[assignment]
            stack += [(f"{at}.{key}" if at else str(key), entries[key]) for key in reversed(list(entries))]
        elif isinstance(item, Cut):
            stack.append((at, item.head))
    return found


@lru_cache(maxsize=4096)  # the same few paths in every call of a site
def last_key(path: str) -> str:
    """Return the innermost field name of a path."""
    return path[path.rfind(".") + 1 :].partition("[")[0]


def is_inside(calls: list[Call], position: int, ancestor: int) -> bool:
    """Return whether a call is a descendant of another."""
    at: int | None = position
    while at is not None and at > ancestor:
        at = calls[at].parent
    return at == ancestor
