"""What is known of each span that LlamaIndex has announced and that has not ended."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

from tracediff.capture.recorder import Call

_MAX = 20_000


@dataclass(slots=True, eq=False)
class Step:
    """One span of the framework."""

    parent: Step | None = None
    call: Call | None = None
    """None for a span that is no node: the framework's own work, or the inner part of its parent's step."""
    instance: Any = None
    given: dict[str, Any] = field(default_factory=dict)
    """A model's inputs, as long as they may be taken later."""
    asked: Any = None
    """The very messages or prompt that a model was given."""
    is_model: bool = False
    is_late: bool = False
    """A client will presumably make the call: the inputs are taken at the end, if it does not."""
    is_claimed: bool = False
    """A model's span in which another model or a patched client was called: that one is the node."""
    is_streaming: bool = False
    """The span is over, the answer comes piece by piece."""
    tool_id: str = ""
    """Of the tool call that an agent's step answers."""

    def nearest(self) -> Step | None:
        """Return this step, or the innermost around it that is recorded and still open."""
        step: Step | None = self
        while step is not None and (step.call is None or step.call.is_over or step.is_streaming):
            step = step.parent
        return step

    def outer(self) -> Step:
        """Return the step of the model's call that this span is an inner part of; itself, where it is none."""
        step = self
        while step.call is None and step.parent is not None and step.parent.is_model:
            step = step.parent
        return step

    def claim(self) -> None:
        """Note that the call of a model is made in here: the models' spans around it are no more than around it."""
        around: Step | None = self
        while around is not None and (around.is_model or around.call is None):
            around.is_claimed = True
            around = around.parent


class Steps:
    """The open spans by id."""

    def __init__(self) -> None:
        self.by_id: dict[str, Step] = {}

    def add(self, span_id: str, step: Step) -> None:
        """Keep a span until it ends. One whose end is never announced goes when its recording is over."""
        if len(self.by_id) >= _MAX:
            for known, kept in list(self.by_id.items()):
                if kept.call is None or kept.call.is_over:
                    self.by_id.pop(known, None)
        self.by_id[span_id] = step

    def inner_of(self, parent: Step | None, instance: Any, asked: Any) -> Step | None:
        """Return the step of which a span of the same model is an inner part: one that it runs in, or reads on."""
        if parent is not None and parent.is_model and parent.instance is instance and parent.outer().given:
            return parent
        for step in list(self.by_id.values()):
            if step.is_streaming and step.instance is instance and step.asked is asked and asked is not None:
                return step
        return None

    def around(self, kind: str) -> Call | None:
        """Return the innermost call of the framework around the running code: see ``tracediff.capture.enclosing``."""
        if not self.by_id:
            return None
        span = importlib.import_module("llama_index_instrumentation.span").active_span_id.get()
        step = None if span is None else self.by_id.get(span)
        if step is None:
            return None
        if kind == "llm":
            step.claim()
        around = step.nearest()
        return None if around is None else around.call
