"""Cost of a traced call: CPU ratios, interleaved, of 1 KB in and 200 B out.

    python benchmarks/traced_call.py [--json]

recorded/span    a recorded call, nothing exported, to a bare OpenTelemetry SDK span with the same two attributes
exported/span    the same with an SDK provider and a span processor on
alone/span       exported, while nobody records: each call is then a run of its own
idle/plain       neither recording nor provider, to the undecorated call
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
from collections.abc import Callable
from time import process_time_ns

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from tracediff.capture import functional_node, spans
from tracediff.graph.runs import record

LIMITS = {"recorded/span": 0.5, "exported/span": 1.5, "alone/span": 1.5, "idle/plain": 8.0}
ROUNDS, CALLS = 15, 2_000
QUESTION = "q" * 1024
ANSWER = "a" * 200


def plain(question: str) -> str:  # noqa: ARG001
    return ANSWER


traced = functional_node(plain)
bare_tracer = TracerProvider().get_tracer("bare")


def bare_span(question: str) -> str:
    with bare_tracer.start_as_current_span("plain") as span:
        span.set_attribute("question", question)
        answer = ANSWER
        span.set_attribute("answer", answer)
        return answer


def cost_ns(call: Callable[[str], str], calls: int = CALLS) -> float:
    question = QUESTION
    start = process_time_ns()
    for _ in range(calls):
        call(question)
    return (process_time_ns() - start) / calls


def recorded_ns() -> float:
    with record():
        return cost_ns(traced)


def exported_ns(provider: TracerProvider) -> float:
    spans.use_provider(provider)
    try:
        with record():
            return cost_ns(traced)
    finally:
        spans.use_provider(None)


def alone_ns(provider: TracerProvider) -> float:
    spans.use_provider(provider)
    try:
        return cost_ns(traced)
    finally:
        spans.use_provider(None)


def measure() -> dict[str, float]:
    exporting = TracerProvider()
    exporting.add_span_processor(SpanProcessor())
    taken: dict[str, list[float]] = {name: [] for name in ("plain", "idle", "span", "recorded", "exported", "alone")}
    for _ in range(ROUNDS):
        gc.collect()
        taken["plain"].append(cost_ns(plain, CALLS * 10))
        taken["idle"].append(cost_ns(traced, CALLS * 10))
        taken["span"].append(cost_ns(bare_span))
        taken["recorded"].append(recorded_ns())
        taken["exported"].append(exported_ns(exporting))
        taken["alone"].append(alone_ns(exporting))
    ratios = {name: _middle_ratio(*(taken[part] for part in name.split("/"))) for name in LIMITS}
    return {**ratios, **{f"{name}_us": statistics.median(values) / 1000 for name, values in taken.items()}}


def _middle_ratio(costs: list[float], bases: list[float]) -> float:
    """Return the median of the ratios of each round: what slows a round slows both of its parts."""
    return statistics.median(cost / base for cost, base in zip(costs, bases, strict=True))


def main() -> int:
    figures = measure()
    if "--json" in sys.argv:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            limit = f"   at most {LIMITS[name]}" if name in LIMITS else ""
            print(f"{name:15} {value:8.3f}{limit}")
    return 0 if all(figures[name] <= limit for name, limit in LIMITS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
