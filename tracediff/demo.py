"""The demo: the example programs, trained against the bundled simulated model. Every figure here is a simulation's."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from tracediff.capture.context import using
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.engine import connect
from tracediff.errors import UsageError
from tracediff.graph.graph import ParameterGraph
from tracediff.graph.runs import trace
from tracediff.simulate import Server, World, counting_samples, two_hop_samples
from tracediff.training.evaluation import evaluate
from tracediff.training.progress import Progress
from tracediff.training.result import Result
from tracediff.training.session import optimize

Samples: TypeAlias = Sequence[Mapping[str, str]]

SIZES = (50, 60, 100)
"""Samples to train, validate and test."""
_ENVIRONMENT = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "TRACEDIFF_EXAMPLE_MODEL")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One example program with samples of the simulated world."""

    name: str
    program: Callable[[str], str]
    metric: Callable[[str, Mapping[str, Any]], Any]
    train: Samples
    """What proposals are made from."""
    val: Samples
    """What decides what is kept."""
    test: Samples
    """What nothing is decided by."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What training one pipeline came to, beside what the simulation allows."""

    name: str
    result: Result
    best_possible: float
    """Test accuracy with every skill expressed."""

    def figures(self) -> dict[str, Any]:
        """Return the figures as plain JSON: accuracies in [0, 1], calls and tokens by purpose."""
        result = self.result
        return {
            "name": self.name,
            "start": result.start_test.mean if result.start_test else None,
            "val": result.val.mean,
            "test": result.test.mean if result.test else None,
            "best_possible": self.best_possible,
            "calls": dict(result.calls),
            "tokens": dict(result.tokens),
            "seconds": round(result.seconds, 2),
            "prompts": dict(result.best),
        }


def pipelines(seed: int, sizes: tuple[int, int, int] = SIZES) -> tuple[Pipeline, ...]:
    """Return the two example programs with samples drawn from ``seed``: as many to train, validate and test as said."""
    counting, hopping = example("object_counting"), example("multi_hop")
    paragraphs = two_hop_samples(seed, sum(sizes))
    return (
        Pipeline(
            "object_counting",
            counting.program,
            counting.metric,
            *_split(counting_samples(seed, sum(sizes)), sizes),
        ),
        Pipeline("multi_hop", hopping.MultiHop(paragraphs.corpus), hopping.metric, *_split(paragraphs.samples, sizes)),
    )


def _split(samples: Samples, sizes: tuple[int, int, int]) -> tuple[Samples, Samples, Samples]:
    n_train, n_val, _ = sizes
    return samples[:n_train], samples[n_train : n_train + n_val], samples[n_train + n_val :]


def example(name: str) -> ModuleType:
    """Return ``examples/NAME.py`` of this clone, loaded afresh; raise UsageError where there is no clone."""
    path = Path(__file__).parents[1] / "examples" / f"{name}.py"
    if not path.exists():
        raise UsageError(
            f"the demo's programs are not here: expected {path}. They come with a clone of the project, not with the "
            "installed package: run `make demo` in a clone"
        )
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"examples/{name}.py needs {error.name}: pip install {error.name}") from error
    return module


@contextlib.contextmanager
def simulation(world: World) -> Iterator[Server]:
    """Run the simulated server, with the environment that leads the programs' clients to it."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    instrument("openai")
    try:
        with Server(world) as server:
            os.environ.update(zip(_ENVIRONMENT, (server.base_url, "simulated", "sim-solver"), strict=True))
            yield server
    finally:
        uninstrument("openai")
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def train(pipeline: Pipeline, world: World, *, progress: Progress | None = None, **options: Any) -> Outcome:
    """Return what ``optimize`` makes of a pipeline within an open ``simulation``; ``options`` go to ``optimize``."""
    result = optimize(
        pipeline.program,
        train=pipeline.train,
        val=pipeline.val,
        test=pipeline.test,
        metric=pipeline.metric,
        critic=connect("openai:sim-critic"),
        proposer=connect("openai:sim-optimizer"),
        progress=progress,
        **{"seed": world.seed, **options},
    )
    return Outcome(pipeline.name, result, best_possible(pipeline, world, result.start))


def best_possible(pipeline: Pipeline, world: World, start: Mapping[str, str]) -> float:
    """Return the test accuracy of the program with every skill expressed in its prompts."""
    with using({name: world.with_all_skills(text) for name, text in start.items()}):
        return evaluate(pipeline.program, pipeline.test, pipeline.metric).mean


def graph_of(pipeline: Pipeline) -> ParameterGraph:
    """Return the graph of one run."""
    _, run = trace(pipeline.program, pipeline.train[0]["question"])
    graph: ParameterGraph = run.graph()
    return graph


def run_demo(seed: int = 0) -> dict[str, Any]:
    """Return the figures of both pipelines as one JSON object, marked as simulated."""
    world = World(seed)
    with simulation(world):
        outcomes = [train(pipeline, world) for pipeline in pipelines(seed)]
    return {"simulated": True, "pipelines": [outcome.figures() for outcome in outcomes]}


def show_demo(seed: int = 0) -> None:
    """Print graph, progress, figures and the prompts before and after, for both pipelines."""
    from rich.console import Console

    from tracediff.report.diff import unified
    from tracediff.report.graph_view import terminal, tree
    from tracediff.report.progress import Progress as Bars

    console = Console(highlight=False, markup=False, soft_wrap=True)
    world = World(seed)
    console.print(f"SIMULATION, world {seed}: a simulated model answers. The figures show whether feedback reaches the")
    console.print("right prompt; they say nothing about real models. Another world: tracediff demo --seed N\n")
    with simulation(world):
        for pipeline in pipelines(seed):
            console.print(f"{pipeline.name}: examples/{pipeline.name}.py", style="bold")
            console.print(terminal(tree(graph_of(pipeline))))
            with Bars(title=f"{pipeline.name} ") as bars:
                outcome = train(pipeline, world, progress=bars)
            for line in unified(outcome.result.start, outcome.result.best).splitlines():
                style = "green" if line.startswith("+") else "red" if line.startswith("-") else ""
                console.print(terminal(line), style=style)
            for line in _table(outcome.figures()):
                console.print(line)
            console.print()
    console.print("The same on a real model: set OPENAI_API_KEY (and OPENAI_BASE_URL for another server), then")
    console.print("tracediff optimize examples/object_counting.py:program --train A.jsonl --val B.jsonl \\")
    console.print(
        "  --metric examples/object_counting.py:metric --critic openai:MODEL --proposer openai:MODEL --run-dir DIR"
    )
    console.print("Samples to start with: python -m tracediff.simulate --write samples")


def _table(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the figures."""
    yield (
        f"accuracy (simulated): start {figures['start']:.2f}, validation {figures['val']:.2f}, "
        f"test {figures['test']:.2f}, best possible {figures['best_possible']:.2f}"
    )
    for kind in ("calls", "tokens"):
        by_purpose = ", ".join(f"{purpose} {number:,}" for purpose, number in figures[kind].items())
        yield f"{kind}: {by_purpose}"
    yield f"seconds: {figures['seconds']:.1f}"
