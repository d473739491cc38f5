"""`python -m tracediff.simulate`: run the simulated server by hand, or write the samples of its world."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from pathlib import Path

from tracediff.simulate.data import counting_samples, one_hop_samples, two_hop_samples
from tracediff.simulate.questions import labelled_samples
from tracediff.simulate.server import ROLES, Server
from tracediff.simulate.world import Settings, World


def main() -> None:
    """Serve until interrupted; the first line on standard output is the base URL."""
    parser = argparse.ArgumentParser(
        prog="python -m tracediff.simulate",
        description="A simulated model server in the OpenAI wire format. Its answers are a simulation, not a model's.",
        epilog="Example: python -m tracediff.simulate --seed 3 --port 8123",
    )
    parser.add_argument("--seed", type=int, default=0, help="which world: skills, symptoms and wordings")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency-s", type=float, default=0.0, help="seconds that every reply takes")
    parser.add_argument("--write", type=Path, help="write samples and corpus of this world to this folder, and exit")
    given = parser.parse_args()
    if given.write is not None:
        write_samples(given.seed, given.write)
        return
    with Server(World(given.seed, Settings(latency_s=given.latency_s)), port=given.port) as server:
        print(server.base_url, flush=True)  # noqa: T201 - what the command is for
        print(f"SIMULATION, seed {given.seed}; models: {', '.join(ROLES)}; any key will do", file=sys.stderr)  # noqa: T201
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


SIZES = (50, 60, 100)
"""Samples to train, validate and test."""


def write_samples(seed: int, folder: Path) -> None:
    """Write ``NAME.{train,val,test}.jsonl`` for each kind of sample, and ``corpus.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    number = sum(SIZES)
    paragraphs = two_hop_samples(seed, number)
    (folder / "corpus.json").write_text(json.dumps(paragraphs.corpus, indent=0) + "\n", encoding="utf-8")
    kinds = {
        "object_counting": counting_samples(seed, number),
        "trec": labelled_samples(seed, number),
        "one_hop": one_hop_samples(seed, number).samples,
        "multi_hop": paragraphs.samples,
    }
    for name, samples in kinds.items():
        left = list(samples)
        for split, size in zip(("train", "val", "test"), SIZES, strict=True):
            part, left = left[:size], left[size:]
            lines = "".join(json.dumps(sample) + "\n" for sample in part)
            (folder / f"{name}.{split}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
