"""Programs of the frameworks' tests: loaded afresh, run, compared with the edges and prompts written beside them."""

import asyncio
import contextvars
import importlib.util
import json
import sys

import tracediff as td
from tracediff import discover


_LOOP = asyncio.Runner()


def in_loop(coroutine):
    """Run a coroutine in one loop for all: the frameworks keep HTTP clients, which belong to the loop of their first use."""
    return _LOOP.run(coroutine, context=contextvars.copy_context())


def close_loop():
    """At the end of a session."""
    _LOOP.close()


def loader(world, folder, prefix):
    """A function that loads a program by name, and one that forgets them all."""
    loaded = []

    def load(name):
        spec = importlib.util.spec_from_file_location(f"{prefix}_{name}", folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        loaded.append(spec.name)
        spec.loader.exec_module(module)
        world.reply, world.seen = module.reply, []
        return module

    def forget():
        td.uninstrument()
        for name in loaded:
            sys.modules.pop(name, None)

    return load, forget


def runnable(module):
    """The program as a function of one input."""
    program = getattr(module, "program", None)
    if program is None:
        return lambda given: in_loop(module.aprogram(given))
    return program.invoke if hasattr(program, "invoke") else program


def parsed(text):
    """The edges and the nodes of the output that are written beside a program."""
    edges, output = set(), set()
    for line in text.strip().splitlines():
        if line.startswith("output "):
            output = set(line.split()[1:])
        else:
            edges.add(tuple(line.split(" -> ")))
    return edges, output


def inferred(run, labels=()):
    """The edges, the nodes of the output, and the graph."""
    graph = run.graph()
    order = {record.id: record.start for record in run.records}
    models = sorted((n for n in graph.nodes if n.kind == "llm"), key=lambda n: order[n.id])
    named = {node.id: f"{node.name}#{node.index}" for node in graph.nodes}
    named.update({node.id: f"llm#{at}" for at, node in enumerate(models)})
    for node in graph.nodes:
        for word in labels:
            if str(node.output).find(word) >= 0 and not node.is_container:
                named[node.id] = f"{'llm' if node.kind == 'llm' else node.name}:{labels[word]}"
    edges = {(named[e.source.id], named[e.target.id]) for e in graph.edges if e.target.kind != "output"}
    edges = {edge for edge in edges if not edge[1].startswith("_")}  # functions of langchain-openai's own
    if graph.output.kind == "output":
        output = {named[edge.source.id] for edge in graph.predecessors(graph.output)}
    else:
        output = {named[graph.output.id]}
    return edges, output, graph


def discovered(module):
    """What runs the program, and the parameters that are found when it does."""
    run = runnable(module)
    watcher = discover.Observation()
    stop = watcher.watch()
    try:
        for given in module.INPUTS:
            run(given)
    finally:
        stop()
    return run, discover.find(watcher.sent).parameters


def marked(text):
    """A text with a mark behind its fifth word."""
    before = " ".join(text.split(" ")[:5])
    return f"{before} MARK{text[len(before) :]}"


def strings(raw):
    """Every text of a request in order."""
    found = []

    def walk(value):
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(json.loads(raw))
    return found
