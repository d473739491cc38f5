"""The outcome of an optimization in a few lines, or as plain JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tracediff.report.diff import unified
from tracediff.report.graph_view import terminal
from tracediff.training import Evaluation, Result


def as_object(result: Result) -> dict[str, Any]:
    """Return the outcome as plain JSON: scores in [0, 1], calls and tokens by purpose, seconds."""
    return {
        "improved": result.improved,
        "start": {"val": result.start_val.mean, "test": _mean(result.start_test)},
        "val": result.val.mean,
        "test": _mean(result.test),
        "calls": dict(result.calls),
        "tokens": dict(result.tokens),
        "seconds": round(result.seconds, 2),
        "steps": result.steps,
        "stop_reason": result.stop_reason,
        "stop_message": result.stop_message,
        "run_dir": result.run_dir,
        "prompts": dict(result.best),
    }


def lines(result: Result, run_dir: Path) -> Iterator[str]:
    """Yield what a person wants to know first: scores, cost, why it stopped, what changed and where it is."""
    yield terminal(unified(result.start, result.best)).rstrip() or "no prompt was changed"
    yield ""
    yield _change("validation", result.start_val, result.val)
    if result.test is not None:
        yield _change("test", result.start_test, result.test)
    for what, by_purpose in (("calls", result.calls), ("tokens", result.tokens)):
        total = sum(by_purpose.values())
        yield f"{what}: {total:,} (" + ", ".join(f"{purpose} {n:,}" for purpose, n in by_purpose.items()) + ")"
    yield f"stopped after {result.steps} steps and {result.seconds:.1f} s: {terminal(result.stop_message)}"
    yield f"the best prompts are in {run_dir / 'prompts.json'}, every call and decision in the journal beside them"


def _change(what: str, before: Evaluation | None, after: Evaluation) -> str:
    start = f"{before.mean:.3f} -> " if before is not None else ""
    return f"{what}: {start}{after.mean:.3f} ± {after.spread:.3f} over {len(after.results)} samples"


def _mean(evaluation: Evaluation | None) -> float | None:
    return None if evaluation is None else evaluation.mean
