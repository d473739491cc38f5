"""Time of a backward pass over a batch of 8 runs of depth 3, beside three times the engine's latency.

    python benchmarks/backward.py

However wide the graphs are, the time should be that of three calls, one after the other. The engine is scripted and
sleeps for 100 ms a call; the loss has the metric's own feedback. Prints one line for each width; exits with 1 if the
time is more than twice three latencies.
"""

from __future__ import annotations

import json
import sys
import time

from tracediff.autodiff import backward_batch
from tracediff.graph import ParameterGraph
from tracediff.scores import Score
from tracediff.testing import RunBuilder, ScriptedEngine

LATENCY_S = 0.1
SAMPLES = 8
DEPTH = 3
WIDTHS = (1, 4, 10)
LIMIT = 2.0


def graph(sample: str, width: int) -> ParameterGraph:
    """Return a run of DEPTH layers: ``width`` model calls each, all fed by all of the layer before, then one."""
    run = RunBuilder(sample)
    before = []
    for layer in range(DEPTH - 1):
        before = [
            run.llm(
                f"app.layer{layer}.call{at}:chat",
                f"What call {at} of layer {layer} said about {sample}.",
                messages=[run.prompt(f"app.prompt{layer}.{at}", f"Do part {at} of step {layer}."), *before],
            )
            for at in range(width)
        ]
    return run.graph(run.llm("app.last:chat", "The end.", messages=[run.prompt("app.last", "Conclude."), *before]))


def main() -> int:
    """Return the exit code."""
    worst = 0.0
    for width in WIDTHS:
        batch = [(graph(f"s{at}", width), Score(0.0, "wrong")) for at in range(SAMPLES)]
        engine = ScriptedEngine(latency_s=LATENCY_S)
        start = time.perf_counter()
        gradients = backward_batch(batch, engine)
        seconds = time.perf_counter() - start
        ratio = seconds / (DEPTH * LATENCY_S)
        worst = max(worst, ratio)
        print(
            json.dumps(
                {
                    "samples": SAMPLES,
                    "depth": DEPTH,
                    "width": width,
                    "engine_calls": gradients.engine_calls,
                    "most_in_flight": engine.most_in_flight,
                    "seconds": round(seconds, 3),
                    "ratio_to_three_latencies": round(ratio, 2),
                }
            )
        )
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
