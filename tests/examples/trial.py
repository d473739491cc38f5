"""One example in the simulated world, without training: `python -m tests.examples.trial NAME` prints what happened.

A process of its own keeps what a framework leaves open, and what it warns of, out of the other tests.
"""

import asyncio
import contextvars
import importlib.util
import inspect
import io
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout

import tracediff as td
from tracediff import discover
from tracediff.capture import declared_parameters
from tracediff.cli import main
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
from tracediff.simulate import server as simulated
from tracediff.simulate.__main__ import write_samples
from tracediff.store import save_prompts
from tracediff.training.discovering import discover_parameters

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
SEED = 6
N = 20
AWKWARD = ' Mind "quotes", it\'s a back\\slash, 5% of $5, é,\n{"braces": []} and """more""".'
"""What every candidate has beside advice: it is not easy to write into a source."""


def samples_of(name, n):
    if "counting" in name:
        return counting_samples(SEED, n)
    if name == "trec":
        return labelled_samples(SEED, n)
    return (one_hop_samples if "vanilla" in name else two_hop_samples)(SEED, n).samples


def load(name, folder=EXAMPLES):
    spec = importlib.util.spec_from_file_location(name, pathlib.Path(folder) / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Listening(Server):
    """The simulated server; it keeps the bytes of every request."""

    def __init__(self, world):
        super().__init__(world)
        self.bodies = bodies = []

        class Handler(simulated._Handler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                bodies.append(body.decode())
                line, self.rfile = self.rfile, io.BytesIO(body)
                try:
                    super().do_POST()
                finally:
                    self.rfile = line

        self.handler = Handler

    def start(self):
        super().start()
        self._http.RequestHandlerClass = self.handler
        return self


def patch_of(prompts):
    """Return what `tracediff diff PROMPTS --patch` prints."""
    printed = io.TextIOWrapper(io.BytesIO(), "utf-8")
    arguments, sys.argv = sys.argv, ["tracediff", "diff", str(prompts), "--patch"]
    try:
        with redirect_stdout(printed):
            main()
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.argv = arguments
    return printed.buffer.getvalue()


def trial(name, folder):
    """Return how a copy of an example does before, with every skill in its prompts, after that, and patched; its edges.

    Requests are those of a candidate with every skill, and those of the patched program without tracediff.
    """
    world = World(SEED, Settings(solver_noise=0.0))
    for file in EXAMPLES.glob("*.py"):
        shutil.copy(file, folder)
    os.chdir(folder)
    module, samples = load(name, folder), samples_of(name, N)
    with Listening(world) as server, asyncio.Runner() as runner:
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
            server.bodies.clear()
            return [float(td.Score.of(module.metric(run(sample), sample)).value) for sample in samples]

        plain = score()
        td.instrument()
        declared = tuple(p for p in declared_parameters() if p.name.startswith(f"{name}."))
        found = discover_parameters(module.program, samples[:5]).file if not declared else None
        given = found.parameters if found else ()
        parameters = [*declared, *(p.parameter() for p in given if p.status == "trainable")]
        texts = {p.name: world.with_all_skills(p.text) + AWKWARD for p in parameters}
        with discover.discovered(given) as overlay, td.using(texts):
            told, requests = score(), once(server.bodies)
        sample = samples[plain.index(1)]
        with discover.discovered(given), stepped(found.steps if found else ()), td.record() as recorded:
            recorded.set_output(run(sample))
        graph = recorded.graph()
        td.uninstrument()
        again = score()
        save_prompts("prompts.json", texts, parameters)
        patch = patch_of("prompts.json")
        subprocess.run(["git", "apply", "--whitespace=nowarn"], input=patch, check=True)
        module = load(name, folder)
        score()
        named = {node.label: node.label.removeprefix(f"{name}.") for node in graph.nodes}
        return {
            "plain": plain,
            "told": told,
            "again": again,
            "counts": dict(overlay.counts),
            "edges": sorted(f"{named[e.source.label]} -> {named[e.target.label]}" for e in graph.edges),
            "output": named[graph.output.label],
            "requests": {"candidate": requests, "patched": once(server.bodies)},
        }


def once(bodies):
    """Return the requests without repetitions: a client sends one again when an earlier loop's connection is dead."""
    return [body for body, _ in itertools.groupby(bodies)]


async def finished(result):
    return await result


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        said = trial(sys.argv[1], place)
        os.chdir(EXAMPLES)
    print(json.dumps(said))
