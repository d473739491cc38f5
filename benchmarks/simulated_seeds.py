"""Accuracy over seeds of the SIMULATED world: how much of what is possible is gained, with and without gradients.

    python -m benchmarks.simulated_seeds [--seeds 10] [--no-ablation] [--json]

Every accuracy of the table is measured again in a separate process, which loads the saved prompts file. Gain is
(test - start) / (best possible - start). The figures say whether feedback reaches the right prompt, and nothing about
real models. Exit code 1 when the median gain is below 0.6 or the worst is not above 0, on either pipeline.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tracediff
from tracediff.demo import pipelines, simulation, train
from tracediff.simulate import World

ROOT = Path(__file__).parents[1]
PIPELINES = ("object_counting", "multi_hop")
MEDIAN, WORST = 0.6, 0.0


def measured(pipeline: str, seed: int, prompts: str = "") -> float:
    """Return the test accuracy in this process, with the prompts file if there is one."""
    with simulation(World(seed)):
        chosen = next(p for p in pipelines(seed) if p.name == pipeline)
        candidate = tracediff.load(prompts, strict=True) if prompts else {}
        with tracediff.using(candidate):
            return float(tracediff.evaluate(chosen.program, chosen.test, chosen.metric).mean)


def elsewhere(pipeline: str, seed: int, prompts: str = "") -> float:
    """Return what ``measured`` returns in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.simulated_seeds", "--measure", pipeline, str(seed), prompts]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout)


def row(pipeline: str, seed: int, *, gradients: bool, folder: Path) -> dict[str, Any]:
    """Train once and return the figures of the table."""
    world = World(seed)
    with simulation(world):
        chosen = next(p for p in pipelines(seed) if p.name == pipeline)
        outcome = train(chosen, world, gradients=gradients)
    prompts = folder / f"{pipeline}-{seed}-{gradients}.json"
    outcome.result.save(prompts)
    start, test, best = elsewhere(pipeline, seed), elsewhere(pipeline, seed, str(prompts)), outcome.best_possible
    return {
        "pipeline": pipeline,
        "seed": seed,
        "gradients": gradients,
        "start": start,
        "test": test,
        "best_possible": best,
        "gain": (test - start) / (best - start),
        "calls": sum(outcome.result.calls.values()),
        "seconds": round(outcome.result.seconds, 1),
        "steps": outcome.result.steps,
    }


def report(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Print the table; return whether the bar is met."""
    print(
        f"{'pipeline':<16}{'gradients':<11}{'seed':>4}{'start':>8}{'test':>8}{'best':>8}{'gain':>8}{'calls':>8}{'s':>7}"
    )
    for r in rows:
        figures = "".join(f"{r[name]:>8.3f}" for name in ("start", "test", "best_possible", "gain"))
        word = "yes" if r["gradients"] else "no"
        print(f"{r['pipeline']:<16}{word:<11}{r['seed']:>4}{figures}{r['calls']:>8}{r['seconds']:>7}")
    met = True
    print()
    for pipeline in PIPELINES:
        for gradients in (True, False):
            gains = [r["gain"] for r in rows if r["pipeline"] == pipeline and r["gradients"] == gradients]
            if not gains:
                continue
            median, worst = statistics.median(gains), min(gains)
            verdict = ""
            if gradients:
                is_met = median >= MEDIAN and worst > WORST
                met = met and is_met
                verdict = f"  bar: median {MEDIAN}, worst above {WORST:g}: {'met' if is_met else 'NOT MET'}"
            name = f"{pipeline}, {'with' if gradients else 'without'} gradients"
            print(f"{name:<38} gain: median {median:.2f}, worst {worst:.2f}{verdict}")
    print("All figures are of a simulation.")
    return met


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--no-ablation", action="store_true", help="skip the runs without gradients")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", nargs=3, metavar=("PIPELINE", "SEED", "PROMPTS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(measured(given.measure[0], int(given.measure[1]), given.measure[2]))
        return 0
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for pipeline in PIPELINES:
            for gradients in (True,) if given.no_ablation else (True, False):
                for seed in range(given.first, given.first + given.seeds):
                    rows.append(row(pipeline, seed, gradients=gradients, folder=Path(folder)))
                    print(json.dumps(rows[-1]), file=sys.stderr)
    if given.json:
        print(json.dumps({"simulated": True, "rows": rows}))
        return 0
    return 0 if report(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
