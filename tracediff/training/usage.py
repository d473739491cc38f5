"""Usage: what the model calls of a run cost, read from its records."""

from __future__ import annotations

from collections.abc import Iterable

from tracediff.attributes import USAGE_INPUT_TOKENS, USAGE_OUTPUT_TOKENS
from tracediff.capture.records import SpanRecord
from tracediff.training.budget import Cost


def model_calls(records: Iterable[SpanRecord]) -> list[SpanRecord]:
    """Return the records of model calls, in order: those of kind ``llm`` with no other such record inside them."""
    kept = list(records)
    parents = {record.id: record.parent_id for record in kept}
    outer: set[str] = set()
    for record in kept:
        parent = record.parent_id if record.kind == "llm" else None
        while parent is not None and parent not in outer:
            outer.add(parent)
            parent = parents.get(parent)
    return [record for record in kept if record.kind == "llm" and record.id not in outer]


def cost_of(records: Iterable[SpanRecord]) -> Cost:
    """Return calls and tokens of the model calls among ``records``."""
    total = Cost()
    for record in model_calls(records):
        total += call_cost(record)
    return total


def call_cost(record: SpanRecord) -> Cost:
    """Return the cost of one model call; a call whose usage is unknown counts no tokens."""
    used = [record.attributes.get(key) for key in (USAGE_INPUT_TOKENS, USAGE_OUTPUT_TOKENS)]
    tokens = [item if isinstance(item, int) else 0 for item in used]
    return Cost(1, *tokens)
