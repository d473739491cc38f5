"""Metrics: calling the user's judgement, and naming it when it breaks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from tracediff.capture.context import suppressed
from tracediff.capture.recorder import error_text
from tracediff.errors import MetricError
from tracediff.scores import Score
from tracediff.training.samples import Sample

Metric: TypeAlias = Callable[[Any, Mapping[str, Any]], "Score | float"]
"""``metric(prediction, sample)`` returns a number in [0, 1] or a Score; called from several threads at once."""


def measure(metric: Metric, prediction: object, sample: Sample) -> Score:
    """Return the metric's Score; raise MetricError that names metric and sample when it raises or returns none.

    A metric may call models itself: what it does is no part of the program's run.
    """
    name = metric_name(metric)
    try:
        with suppressed():
            result: object = metric(prediction, sample.fields)
    except (Exception, SystemExit, asyncio.CancelledError) as error:  # the user's code: named and passed on
        raise MetricError(f"the metric {name} raised on {sample.label}: {error_text(error)}") from error
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise MetricError(f"the metric {name} is async; a metric must be a plain function")
    try:
        return Score.of(result)
    except MetricError as error:
        raise MetricError(f"the metric {name} on {sample.label}: {error}") from None


def metric_name(metric: object) -> str:
    """Return ``module.qualname`` of a metric, or its type's name."""
    qualified = getattr(metric, "__qualname__", None)
    return f"{getattr(metric, '__module__', '')}.{qualified}" if qualified else type(metric).__name__
