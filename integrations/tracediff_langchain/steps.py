"""What is known of each run that LangChain's callbacks announced and that has not ended."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import FrameType
from typing import Any
from uuid import UUID

from tracediff.capture.recorder import Call

_MAX = 20_000
_MAX_FRAMES = 400
_MAX_TOOL_FRAMES = 12


@dataclass(slots=True, eq=False)
class Step:
    """One run of the framework."""

    parent: Step | None = None
    call: Call | None = None
    """None for a run that is no node: the formatting of a prompt, what the framework hides, a router."""
    given: Any = None
    """Its inputs, as long as they may be taken later."""
    is_model: bool = False
    is_late: bool = False
    """Its inputs were not taken at its start: they are known at its end only, or wanted only then."""
    has_inside: bool = False
    """Something was recorded in it."""
    is_claimed: bool = False
    """A model's run in which a client sent the request: the client's record is the call, this is what is around it."""
    is_node: bool = False
    """A node of a LangGraph."""

    def nearest(self) -> Step | None:
        """Return this step, or the innermost around it that is recorded and still open."""
        step: Step | None = self
        while step is not None and (step.call is None or step.call.is_over):
            step = step.parent
        return step


class Steps:
    """The open runs by id."""

    def __init__(self) -> None:
        self.by_id: dict[UUID, Step] = {}

    def add(self, run_id: UUID, step: Step) -> None:
        """Keep a run until it ends. A run whose end is never announced goes when its recording is over."""
        if len(self.by_id) >= _MAX:
            for known, kept in list(self.by_id.items()):
                if kept.call is None or kept.call.is_over:
                    self.by_id.pop(known, None)
        self.by_id[run_id] = step

    def around(self, kind: str) -> Call | None:
        """Return the innermost call of the framework around the running code: see ``tracediff.capture.enclosing``."""
        if not self.by_id:
            return None
        step = self._on_stack() or self._in_config()
        step = None if step is None else step.nearest()
        if step is None:
            return None
        if kind == "llm":
            self._claim(step)
        step.has_inside = True
        return step.call

    def _on_stack(self) -> Step | None:
        """Return the run of the innermost frame that has its manager."""
        frame: FrameType | None = sys._getframe(2)
        for _ in range(_MAX_FRAMES):
            if frame is None:
                return None
            code = frame.f_code
            if "run_manager" in code.co_varnames or "run_manager" in code.co_cellvars:
                run_id = getattr(frame.f_locals.get("run_manager"), "run_id", None)
                if run_id is not None and (step := self.by_id.get(run_id)) is not None:
                    return step
            frame = frame.f_back
        return None

    def _in_config(self) -> Step | None:
        """Return the run that the context names: in tasks and in threads that LangChain started."""
        config = sys.modules["langchain_core.runnables.config"].var_child_runnable_config.get()
        manager = config.get("callbacks") if isinstance(config, dict) else None
        run_id = getattr(manager, "parent_run_id", None)
        return None if run_id is None else self.by_id.get(run_id)

    @staticmethod
    def _claim(step: Step) -> None:
        """Note that a client's call runs in a model's run, and in those around it."""
        around: Step | None = step
        while around is not None and around.is_model:
            around.is_claimed = True
            around = around.parent


def settled_output(run_id: UUID) -> tuple[bool, Any]:
    """Return whether a LangGraph node whose router runs now is known to have put something out, and what.

    The routers behind a node run inside of the node's own run, after it has returned. What it returned stands in the
    frame that runs its parts in order.
    """
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame is None:
            break
        if frame.f_code.co_name in ("invoke", "ainvoke") and "run_manager" in frame.f_code.co_varnames:
            found = frame.f_locals
            if getattr(found.get("run_manager"), "run_id", None) == run_id and "input" in found:
                return True, found["input"]
        frame = frame.f_back
    return False, None


def called_by() -> str | None:
    """Return the id of the call that a tool which begins now answers; old versions of langchain-core tell nobody."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MAX_TOOL_FRAMES):
        if frame is None:
            break
        if frame.f_code.co_name in ("run", "arun") and "tool_call_id" in frame.f_code.co_varnames:
            found = frame.f_locals.get("tool_call_id")
            return found if isinstance(found, str) else None
        frame = frame.f_back
    return None
