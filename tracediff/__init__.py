"""Automatic differentiation in words for LLM programs that already exist.

``trainable_prompt`` and ``functional_node`` mark what is there; ``trace`` shows what a run did; ``optimize`` improves
the prompts. What runs in production (decorators, context, clients) is loaded here; the rest at first use.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from tracediff.capture import (
    activate,
    export_report,
    flush_export,
    functional_node,
    instrument,
    shutdown_export,
    trainable_prompt,
    uninstrument,
    using,
)
from tracediff.errors import (
    DataError,
    EngineError,
    EngineRefused,
    EngineUnavailable,
    JournalError,
    LostContext,
    MetricError,
    MissingIntegration,
    NoParameters,
    NoRule,
    ParameterError,
    PromptsMismatch,
    RunLocked,
    TracediffError,
    UsageError,
)
from tracediff.parameters import Candidate, Parameter
from tracediff.scores import Score

if TYPE_CHECKING:
    from tracediff.autodiff import Gradient, Gradients, Loss, backward, defbackward
    from tracediff.graph import Edge, Node, ParameterGraph, link
    from tracediff.graph.runs import Run, atrace, record, score, trace
    from tracediff.store import load
    from tracediff.training import Evaluation, Result, aoptimize, evaluate, optimize

__all__ = [
    "Candidate",
    "DataError",
    "Edge",
    "EngineError",
    "EngineRefused",
    "EngineUnavailable",
    "Evaluation",
    "Gradient",
    "Gradients",
    "JournalError",
    "Loss",
    "LostContext",
    "MetricError",
    "MissingIntegration",
    "NoParameters",
    "NoRule",
    "Node",
    "Parameter",
    "ParameterError",
    "ParameterGraph",
    "PromptsMismatch",
    "Result",
    "Run",
    "RunLocked",
    "Score",
    "TracediffError",
    "UsageError",
    "activate",
    "aoptimize",
    "atrace",
    "backward",
    "defbackward",
    "evaluate",
    "export_report",
    "flush_export",
    "functional_node",
    "instrument",
    "link",
    "load",
    "optimize",
    "record",
    "score",
    "shutdown_export",
    "trace",
    "trainable_prompt",
    "uninstrument",
    "using",
]

# Public name -> the module that has it, for what is loaded at first use.
_LAZY = {
    **dict.fromkeys(("Gradient", "Gradients", "Loss", "backward", "defbackward"), "tracediff.autodiff"),
    **dict.fromkeys(("Edge", "Node", "ParameterGraph", "link"), "tracediff.graph"),
    **dict.fromkeys(("Run", "atrace", "record", "score", "trace"), "tracediff.graph.runs"),
    **dict.fromkeys(("load",), "tracediff.store"),
    **dict.fromkeys(("Evaluation", "Result", "aoptimize", "evaluate", "optimize"), "tracediff.training"),
}


def __getattr__(name: str) -> Any:
    """Return a public name that is loaded at first use (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module 'tracediff' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    if _LAZY[name] == "tracediff.training":
        importlib.import_module("tracediff.report.run_report")  # results can then write their report
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _activate_from_environment() -> None:
    """Make the prompts file that TRACEDIFF_PROMPTS names the process default; raise DataError if it can't be read."""
    if path := os.environ.get("TRACEDIFF_PROMPTS"):
        activate(importlib.import_module("tracediff.store").load(path))


_activate_from_environment()
