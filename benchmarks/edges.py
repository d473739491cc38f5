"""Accuracy of edge inference on generated programs with known data flow, and what its confidence is worth.

    python -m benchmarks.edges [--programs 200] [--first-seed 0] [--text-alone]

Prints the tables of docs/graph.md.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace

from tests.graph.generate import generated
from tests.graph.measure import Tally
from tests.graph.recorder import LiveRecorder
from tests.graph.shapes import SHAPES
from tracediff.graph import ParameterGraph

TITLES = {
    0: "0 objects passed on",
    1: "1 rendered prompts",
    2: "2 glue, loops, dedup",
    3: "3 short labels, copying models, threads",
    4: "4 ciphered and shuffled text",
}


def measured(level: int, seeds: range, *, has_refs: bool = True) -> Tally:
    """Return the tally of one level over live programs."""
    tally = Tally()
    for seed in seeds:
        recorder = LiveRecorder()
        program = generated(seed, level, recorder, SHAPES)
        recorder.close(program.output.obj)
        graph = recorder.run.graph()
        if not has_refs:
            bare = [replace(record, refs=()) for record in recorder.records]
            graph = ParameterGraph.from_records(bare, output=program.output.obj)
        tally.add(graph, program.truth, f"{seed}/{level}")
    return tally


def main() -> None:
    """Print accuracy by level and calibration over all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--programs", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--text-alone", action="store_true", help="drop all identity references")
    chosen = parser.parse_args()
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.programs)
    print("| level | programs | true edges | F1 strict | F1 lenient | prompts that reach the output, F1 | Brier |")
    print("|---|---|---|---|---|---|---|")
    every = Tally()
    for level, title in TITLES.items():
        tally = measured(level, seeds, has_refs=not chosen.text_alone)
        every.sure += tally.sure
        every.true_confidences += tally.true_confidences
        print(
            f"| {title} | {tally.programs} | {tally.true} | {tally.strict:.3f} | {tally.lenient:.3f} "
            f"| {tally.reach:.3f} | {tally.brier:.3f} |"
        )
    print(f"\nBrier score over all edges: {every.brier:.4f}. True edges with 0.9 or more: {every.confident:.3f}.\n")
    print("| evidence | confidence given | edges | share that is true |")
    print("|---|---|---|---|")
    groups = defaultdict(list)
    for sure, evidence, is_true in every.sure:
        groups[evidence, sure].append(is_true)
    for (evidence, sure), outcomes in sorted(groups.items()):
        print(f"| {evidence} | {sure:.2f} | {len(outcomes)} | {sum(outcomes) / len(outcomes):.3f} |")


if __name__ == "__main__":
    main()
