"""Where credit goes, in the SIMULATED world, with a critic that misses nothing and adds no noise.

    python -m benchmarks.credit [--seeds 10] [--json]

Of the faults that showed in a batch: in how many cases does the matching advice stand in a proposal request of the
right parameter, and in one of another parameter? Read from the server's log of requests. Then the same with the edges
of every graph permuted. Exit code 1 when a figure misses its bar: at least 9 of 10, at most 1 of 10, and below 4 of 10.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any
from unittest import mock

import tracediff
from tracediff.demo import Pipeline, pipelines, simulation, train
from tracediff.graph import Edge, Node, ParameterGraph
from tracediff.graph.runs import Run
from tracediff.simulate import Exchange, Server, Settings, Skill, World
from tracediff.simulate.sections import sections
from tracediff.training.journal import read_journal
from tracediff.training.progress import ProgressEvent

PIPELINES = ("object_counting", "multi_hop")
RIGHT, OTHER, PERMUTED = 0.9, 0.1, 0.4


@dataclass
class Marks:
    """Notes how long the server's log is whenever a batch is criticised."""

    server: Server
    at: list[int] = field(default_factory=list)

    def on_event(self, event: ProgressEvent) -> None:
        """Take note."""
        if event.kind == "backward":
            self.at.append(len(self.server.log))


@dataclass
class Credit:
    """Counts over batches and the faults that showed in them."""

    faults: int = 0
    right: int = 0
    other: int = 0

    def __add__(self, more: Credit) -> Credit:
        return Credit(self.faults + more.faults, self.right + more.right, self.other + more.other)


def credit(name: str, seed: int) -> Credit:
    """Train one pipeline and return where its advice went."""
    world = World(seed, Settings(critic_miss=0.0, critic_noise=0.0, critic_attention=99))
    with tempfile.TemporaryDirectory() as folder, simulation(world) as server:
        pipeline = next(p for p in pipelines(seed) if p.name == name)
        marks = Marks(server)
        outcome = train(pipeline, world, progress=marks, run_dir=Path(folder) / "run")
        log = server.log
        _, events = read_journal(Path(folder) / "run")
        batches = [e for e in events if e.kind == "batch" and e.body["failing"]]
        changes = {e.candidate: e.body["texts"] for e in events if e.kind == "candidate"}
        assert len(batches) == len(marks.at), "one backward pass a batch"
        total = Credit()
        for batch, start, end in zip(batches, marks.at, [*marks.at[1:], len(log)], strict=True):
            incumbent = {**outcome.result.start, **changes.get(batch.candidate, {})}
            shown = symptoms(server, pipeline, incumbent, batch.body["failing"])
            total += counted(world, shown, [e for e in log[start:end] if e.role == "optimizer"])
    return total


def symptoms(server: Server, pipeline: Pipeline, texts: Mapping[str, str], ids: Sequence[str]) -> set[Skill]:
    """Return the faults that show when these samples run with these prompts: equal requests get equal replies."""
    before = len(server.log)
    with tracediff.using(texts):
        for sample in pipeline.train:
            if sample["id"] in ids:
                pipeline.program(sample["question"])
    return {skill for exchange in server.log[before:] for skill in server.world.symptoms_in(exchange.reply)}


def counted(world: World, shown: set[Skill], requests: Sequence[Exchange]) -> Credit:
    """Return, for the faults that showed, whose proposal requests hold advice for them."""
    found = Credit(faults=len(shown))
    told: list[tuple[str | None, str]] = []
    for request in requests:
        (parameter,) = sections(request.prompt, "parameter")
        advice = "\n".join(section.text for section in sections(request.prompt, "gradient"))
        told.append((world.stage_of(parameter.text), advice))
    for skill in shown:
        stages = {stage for stage, advice in told if set(skill.wordings) & set(world.advice_in(advice))}
        found.right += skill.stage in stages
        found.other += bool(stages - {skill.stage})
    return found


def permuted(graph: ParameterGraph, seed: int) -> ParameterGraph:
    """Return the graph with the sources of its edges permuted: as many edges, no cycle, no call its own source."""
    draw = random.Random(seed)
    sources = [edge.source for edge in graph.edges]
    while True:
        draw.shuffle(sources)
        edges = tuple(replace(edge, source=source) for edge, source in zip(graph.edges, sources, strict=True))
        if order := sorted_nodes(graph.nodes, edges):
            return replace(graph, nodes=order, edges=edges)


def sorted_nodes(nodes: Sequence[Node], edges: Sequence[Edge]) -> tuple[Node, ...]:
    """Return the nodes with every source before its targets, or nothing where the edges have a cycle."""
    sorter = TopologicalSorter({node.id: [e.source.id for e in edges if e.target is node] for node in nodes})
    by_id = {node.id: node for node in nodes}
    try:
        return tuple(by_id[id_] for id_ in sorter.static_order())
    except CycleError:
        return ()


@contextmanager
def permuted_edges(seed: int) -> Iterator[None]:
    """Let every run give a graph with permuted edges; equal shapes are permuted alike."""
    real: Callable[[Run], ParameterGraph] = Run.graph
    with mock.patch.object(Run, "graph", lambda run: permuted(real(run), seed)):
        yield


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures: dict[str, Any] = {}
    met = True
    for name in PIPELINES:
        # A graph of two edges in a row has one arrangement only, so the permutation is tried on the other pipeline.
        for is_permuted in (False, True) if name == "multi_hop" else (False,):
            total = Credit()
            for seed in range(given.first, given.first + given.seeds):
                if is_permuted:
                    with permuted_edges(seed):
                        one = credit(name, seed)
                else:
                    one = credit(name, seed)
                print(f"{name} seed {seed}{' permuted' if is_permuted else ''}: {one}", file=sys.stderr)
                total += one
            right, other = total.right / total.faults, total.other / total.faults
            met = met and (right < PERMUTED if is_permuted else right >= RIGHT and other <= OTHER)
            label = f"{name}{', edges permuted' if is_permuted else ''}"
            figures[label] = {"faults": total.faults, "right": right, "other": other}
    if given.json:
        print(json.dumps({"simulated": True, "credit": figures, "met": met}))
        return 0
    for label, found in figures.items():
        print(
            f"{label:<28} {found['faults']:>4} faults: right parameter {found['right']:.2f}, other {found['other']:.2f}"
        )
    bars = f"bars: right at least {RIGHT}, other at most {OTHER}, right with permuted edges below {PERMUTED}"
    print(f"{bars}: {'met' if met else 'NOT MET'}. All figures are of a simulation.")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
