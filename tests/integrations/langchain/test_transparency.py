"""A program with tracediff on, recorded and under an empty candidate, is the program without it."""

import re

import pytest
from langchain_core.callbacks import BaseCallbackHandler

import tracediff as td
from tests.integrations.langchain.conftest import NAMES, in_loop
from tracediff import discover

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.+]+")
_OBJECT = re.compile(r" at 0x[0-9a-f]+")


def shown(value):
    """A text in which equal things are equal: ids, times and addresses left out."""
    return _TIME.sub("TIME", _OBJECT.sub("", _ID.sub("ID", repr(_ordered(value)))))


def _ordered(value):
    """Mappings by key: what steps side by side put into one comes in any order."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value, key=str)}
    return type(value)(map(_ordered, value)) if type(value) in (list, tuple) else value


class Notes(BaseCallbackHandler):
    """A user's own handler, which keeps all that it is told."""

    def __init__(self):
        self.kept = []

    def __getattribute__(self, name):
        if not name.startswith("on_"):
            return super().__getattribute__(name)

        def keep(*args, **kwargs):
            kwargs.pop("run_id", None), kwargs.pop("parent_run_id", None)
            # LangGraph's tasks of several runs at once write into one mapping: what it holds varies without tracediff.
            if "__pregel_push" in str(kwargs.get("metadata")):
                del kwargs["metadata"]
            self.kept.append(f"{name} {shown(args)} {shown(sorted(kwargs.items(), key=lambda item: item[0]))}")

        return keep


async def _listed(items):
    return [item async for item in items]


WAYS = {
    "invoke": lambda program, given, config: program.invoke(given, config),
    "ainvoke": lambda program, given, config: in_loop(program.ainvoke(given, config)),
    "batch": lambda program, given, config: program.batch([given, given], config),
    "abatch": lambda program, given, config: in_loop(program.abatch([given, given], config)),
    "stream": lambda program, given, config: list(program.stream(given, config)),
    "astream": lambda program, given, config: in_loop(_listed(program.astream(given, config))),
    "events v2": lambda program, given, config: in_loop(_listed(program.astream_events(given, config, version="v2"))),
    "events v1": lambda program, given, config: in_loop(_listed(program.astream_events(given, config, version="v1"))),
    "log": lambda program, given, config: in_loop(_listed(program.astream_log(given, config))),
}
SYNC = ("invoke", "batch", "stream")
RUNNABLES = ["lcel_rag", "tool_agent", "few_shot", "branching", "vendor", "functional"]


def told(module, world, run):
    """All that the program, its handler and the server saw."""
    notes, config = Notes(), {}
    config["callbacks"] = [notes]
    world.seen = []
    getattr(module, "SENT", []).clear()
    try:
        output = run(config)
    except Exception as error:
        output = error
    assert config["callbacks"] == [notes]
    sent = [shown(item) for item in getattr(module, "SENT", [])]
    output = [shown(item) for item in output] if isinstance(output, list) else [shown(output)]
    return {"output": sorted(output), "requests": sorted(world.seen), "callbacks": sorted(notes.kept), "sent": sent}


def found_in(module, program, given):
    """The discovered parameters of a program."""
    watcher = discover.Observation()
    stop = watcher.watch()
    try:
        program(given)
    finally:
        stop()
    parameters = discover.find(watcher.sent).parameters
    assert parameters
    return parameters


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
@pytest.mark.parametrize(
    ("name", "way"), [(name, way) for name in RUNNABLES for way in WAYS if name != "functional" or way in SYNC]
)
def test_outputs_events_callbacks_chunks_and_requests_are_the_same(load, world, name, way):
    module = load(name)
    run = lambda config: WAYS[way](module.program, module.INPUTS[0], config)  # noqa: E731
    bare = told(module, world, run)
    td.instrument()
    parameters = found_in(module, module.program.invoke, module.INPUTS[0])
    with discover.discovered(parameters), td.using({}), td.record() as recorded:
        seen = told(module, world, run)
    assert recorded.records
    assert seen == bare
    td.uninstrument()
    assert told(module, world, run) == bare


@pytest.mark.parametrize("name", [name for name in NAMES if name not in RUNNABLES])
def test_programs_that_are_functions_do_the_same(load, world, name):
    module = load(name)
    run = module.program.invoke if hasattr(module.program, "invoke") else module.program
    bare = told(module, world, lambda _: run(module.INPUTS[0]))
    td.instrument()
    parameters = found_in(module, run, module.INPUTS[0])
    with discover.discovered(parameters), td.using({}), td.record() as recorded:
        seen = told(module, world, lambda _: run(module.INPUTS[0]))
    assert recorded.records
    assert seen == bare


def test_a_stream_that_is_left_half_way_ends_its_records(load):
    module = load("lcel_rag")
    td.instrument()
    with td.record() as run:
        stream = module.program.stream(module.INPUTS[0])
        first = next(stream)
        stream.close()
    assert first is not None
    assert {record.name for record in run.records} >= {"RunnableSequence", "Shelf"}


def test_with_everything_off_nothing_is_kept(load):
    module = load("lcel_rag")
    td.instrument()
    steps = _steps()
    module.program.invoke(module.INPUTS[0])
    assert steps.by_id == {}
    with td.record():
        module.program.invoke(module.INPUTS[0])
    assert steps.by_id == {}


def _steps():
    from tracediff.capture.enclosing import finders

    return finders.all[-1].__self__
