"""The outcome of an optimization in a few lines, or as plain JSON."""

from __future__ import annotations

import math
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
        "start": {"val": _mean(result.start_val), "test": _mean(result.start_test)},
        "val": _mean(result.val),
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
    if (file := run_dir / "prompts.json").exists():
        yield f"the best prompts are in {file}, every call and decision in the journal beside them"
    else:
        yield f"no prompt was read before the stop; every call is in the journal in {run_dir}"


def evaluation_object(found: Evaluation) -> dict[str, Any]:
    """Return an evaluation as plain JSON; ``n`` counts the samples that have a score."""
    return {
        "mean": _mean(found),
        "spread": _number(found.spread),
        "n": len(found.scores),
        "excluded": list(found.excluded),
        "errors": found.errors,
    }


def evaluation_lines(found: Evaluation, most: int = 5) -> Iterator[str]:
    """Yield the score, and the first errors if there are any."""
    mean = _mean(found)
    yield "no sample has a score" if mean is None else f"{_score(found)} over {len(found.scores)} samples"
    if found.excluded:
        yield f"{len(found.excluded)} of {len(found.results)} samples have no score"
    errors = list(found.errors.items())
    yield from (terminal(f"sample {sample}: {message}") for sample, message in errors[:most])
    if len(errors) > most:
        yield f"... and {len(errors) - most} more errors"


def _change(what: str, before: Evaluation | None, after: Evaluation) -> str:
    start = f"{before.mean:.3f} -> " if before is not None and _mean(before) is not None else ""
    return f"{what}: {start}{_score(after)} over {len(after.scores)} samples"


def _score(found: Evaluation) -> str:
    spread = _number(found.spread)
    return f"{found.mean:.3f}" + (f" ± {spread:.3f}" if spread is not None else "")


def _mean(found: Evaluation | None) -> float | None:
    return None if found is None else _number(found.mean)


def _number(value: float) -> float | None:
    """Return ``value``, or None for what JSON has no number for."""
    return value if math.isfinite(value) else None
