"""Records: the only wire between the program and everything after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tracediff.capture.values import Value
from tracediff.parameters import Parameter


class Ref(NamedTuple):
    """An input holds the very object that an earlier call put out (identity evidence)."""

    path: str
    """Where in the consumer's inputs: ``docs[0].text``; its first segment is the argument's name."""
    source: str
    """Record id of the most recent producer."""
    source_path: str
    """Where in that producer's output."""
    producers: int
    """How many records had put this object out by then; 1 is exact evidence."""


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """One traced call of one run, as it was when it ended."""

    id: str
    """16 hex digits, the span id of the exported span where there is one."""
    run_id: str
    """32 hex digits."""
    parent_id: str | None
    name: str
    """The site: ``module.qualname`` unless named."""
    kind: str
    """``prompt``, ``function``, ``retriever``, ``tool``, ``llm`` or the user's own."""
    start: int
    """Per-run sequence number at the start; clocks tie and step back, this does not."""
    end: int
    start_ns: int
    end_ns: int
    inputs: Mapping[str, Value]
    """Argument name -> snapshot, in signature order."""
    output: Value
    refs: tuple[Ref, ...] = ()
    error: str | None = None
    """``TypeName: message`` of the exception that left the call."""
    description: str = ""
    """Docstring's first paragraph, unless given."""
    parameter: Parameter | None = None
    """On kind ``prompt``: the parameter with the text that this call used."""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    """Model, usage, finish reasons, tool call ids, constants; keys as in ``tracediff.attributes``."""
