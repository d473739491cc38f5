"""One example in the simulated world, without training: `python -m tests.examples.trial NAME` prints what happened.

A process of its own keeps what a framework leaves open, and what it warns of, out of the other tests.
"""

import asyncio
import contextvars
import importlib.util
import inspect
import json
import os
import pathlib
import sys
import tempfile

import tracediff as td
from tracediff import discover
from tracediff.discover.steps import stepped
from tracediff.simulate import (
    Server,
    Settings,
    World,
    counting_samples,
    labelled_samples,
    one_hop_samples,
    two_hop_samples,
)
from tracediff.simulate.__main__ import write_samples
from tracediff.training.discovering import discover_parameters

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
SEED = 6
N = 20


def samples_of(name, n):
    if "counting" in name:
        return counting_samples(SEED, n)
    if name == "trec":
        return labelled_samples(SEED, n)
    return (one_hop_samples if "vanilla" in name else two_hop_samples)(SEED, n).samples


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trial(name):
    """Return how an example does before, with every skill in its prompts, and after that; and its edges."""
    world = World(SEED, Settings(solver_noise=0.0))
    module, samples = load(name), samples_of(name, N)
    with tempfile.TemporaryDirectory() as folder, Server(world) as server, asyncio.Runner() as runner:
        write_samples(SEED, pathlib.Path(folder))
        os.environ["OPENAI_BASE_URL"] = server.base_url
        os.environ["OPENAI_API_KEY"] = "simulated"
        os.environ["TRACEDIFF_EXAMPLE_MODEL"] = "sim-solver"
        os.environ["TRACEDIFF_EXAMPLE_CORPUS"] = f"{folder}/corpus.json"

        def run(sample):
            result = module.program(sample["question"])
            if inspect.isawaitable(result):
                result = runner.run(finished(result), context=contextvars.copy_context())
            return result

        def score():
            return [module.metric(run(sample), sample) for sample in samples]

        plain = score()
        td.instrument()
        found = discover_parameters(module.program, samples[:5]).file
        texts = {p.name: world.with_all_skills(p.text) for p in found.parameters if p.status == "trainable"}
        with discover.discovered(found.parameters) as overlay, td.using(texts):
            told = score()
        sample = samples[plain.index(1)]
        with discover.discovered(found.parameters), stepped(found.steps), td.record() as recorded:
            recorded.set_output(run(sample))
        graph = recorded.graph()
        td.uninstrument()
        named = {node.label: node.label.removeprefix(f"{name}.") for node in graph.nodes}
        return {
            "plain": plain,
            "told": told,
            "again": score(),
            "counts": dict(overlay.counts),
            "edges": sorted(f"{named[e.source.label]} -> {named[e.target.label]}" for e in graph.edges),
            "output": named[graph.output.label],
        }


async def finished(result):
    return await result


if __name__ == "__main__":
    print(json.dumps(trial(sys.argv[1])))
