"""Accuracy over seeds of the SIMULATED world: how much of what is possible is gained, with and without gradients.

    python -m benchmarks.simulated_seeds [--seeds 10] [--no-ablation] [--json]

Every accuracy of the table is measured again in a separate process, which loads the saved prompts file. Gain is
(test - start) / (best possible - start). The figures say whether feedback reaches the right prompt, and nothing about
real models.

The ablation shows the optimizer raw runs instead of feedback, twice: once to an optimizer that writes only what stands
in its request (guess 0), once to an optimizer that guesses the right advice for 35% of the symptoms that it reads,
which nothing in its request tells it: a stand-in for what a real model knows by itself, at a rate that is ours and not
measured.

Exit code 1 when the median gain is below 0.6 or the worst is not above 0, on either pipeline.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tracediff
from tracediff.demo import pipelines, simulation, train
from tracediff.simulate import Settings, World

ROOT = Path(__file__).parents[1]
PIPELINES = ("object_counting", "multi_hop")
MEDIAN, WORST = 0.6, 0.0


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train."""

    name: str
    gradients: bool
    guess: float = 0.0
    """``Settings.guess``: how often the simulated optimizer knows advice that nobody gave it."""


ARMS = (
    Arm("with gradients", gradients=True),
    Arm("without gradients", gradients=False),
    Arm("without gradients, an optimizer that guesses 35%", gradients=False, guess=0.35),
)


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


def row(pipeline: str, seed: int, arm: Arm, folder: Path) -> dict[str, Any]:
    """Train once and return the figures of the table."""
    world = World(seed, Settings(guess=arm.guess))
    with simulation(world):
        chosen = next(p for p in pipelines(seed) if p.name == pipeline)
        outcome = train(chosen, world, gradients=arm.gradients)
    prompts = folder / f"{pipeline}-{seed}-{ARMS.index(arm)}.json"
    outcome.result.save(prompts)
    start, test, best = elsewhere(pipeline, seed), elsewhere(pipeline, seed, str(prompts)), outcome.best_possible
    return {
        "pipeline": pipeline,
        "seed": seed,
        "arm": arm.name,
        "gradients": arm.gradients,
        "guess": arm.guess,
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
    names = "".join(f"{name:>8}" for name in ("start", "test", "best", "gain", "calls"))
    print(f"{'pipeline':<16}{'gradients':<11}{'guess':<7}{'seed':>4}{names}{'s':>7}")
    for r in rows:
        figures = "".join(f"{r[name]:>8.3f}" for name in ("start", "test", "best_possible", "gain"))
        word = "yes" if r["gradients"] else "no"
        print(f"{r['pipeline']:<16}{word:<11}{r['guess']:<7}{r['seed']:>4}{figures}{r['calls']:>8}{r['seconds']:>7}")
    met = True
    print()
    for pipeline in PIPELINES:
        for arm in ARMS:
            gains = [r["gain"] for r in rows if r["pipeline"] == pipeline and r["arm"] == arm.name]
            if not gains:
                continue
            median, worst = statistics.median(gains), min(gains)
            verdict = ""
            if arm.gradients:
                is_met = median >= MEDIAN and worst > WORST
                met = met and is_met
                verdict = f"  bar: median {MEDIAN}, worst above {WORST:g}: {'met' if is_met else 'NOT MET'}"
            print(f"{pipeline + ', ' + arm.name:<66} gain: median {median:.2f}, worst {worst:.2f}{verdict}")
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
            for arm in ARMS[:1] if given.no_ablation else ARMS:
                for seed in range(given.first, given.first + given.seeds):
                    rows.append(row(pipeline, seed, arm, Path(folder)))
                    print(json.dumps(rows[-1]), file=sys.stderr)
    if given.json:
        print(json.dumps({"simulated": True, "rows": rows}))
        return 0
    return 0 if report(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
