"""A program with tracediff on, recorded and under an empty candidate, is the program without it."""

import re
from collections import Counter

import pytest

import tracediff as td
from tests.integrations.llama_index.conftest import NAMES
from tests.integrations.programs import in_loop, runnable
from tracediff import discover

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"datetime\.datetime\([^)]*\)|\d{4}-\d\d-\d\d[ T][0-9:.+]+")
_RUN = re.compile(r"(?<='llamaindex\.run_id': ')\w+")
_OBJECT = re.compile(r"(?: object)? at 0x[0-9a-f]+")


def shown(value):
    """A text in which equal things are equal: ids, times and addresses left out."""
    return _RUN.sub("RUN", _TIME.sub("TIME", _OBJECT.sub("", _ID.sub("ID", repr(value)))))


@pytest.fixture
def notes():
    """The user's own handlers of events and spans: what they are told."""
    import llama_index_instrumentation as instrumentation
    from llama_index_instrumentation.event_handlers import BaseEventHandler
    from llama_index_instrumentation.span_handlers import BaseSpanHandler

    kept = []

    class Events(BaseEventHandler):
        def handle(self, event, **_):
            told = {name: value for name, value in event.model_dump().items() if name not in ("timestamp", "id_")}
            kept.append(f"event {type(event).__name__} {shown(sorted(told.items()))}")

    class Spans(BaseSpanHandler):
        def new_span(self, id_, bound_args, instance=None, parent_span_id=None, tags=None, **_):
            kept.append(f"enter {shown(id_)} {shown(parent_span_id)} {sorted(bound_args.arguments)} {shown(tags)}")

        def prepare_to_exit_span(self, id_, bound_args, instance=None, result=None, **_):
            kept.append(f"leave {shown(id_)} {type(result).__name__}")

        def prepare_to_drop_span(self, id_, bound_args, instance=None, err=None, **_):
            kept.append(f"drop {shown(id_)} {err!r}")

    root = instrumentation.root_dispatcher
    events, spans = Events(), Spans()
    root.add_event_handler(events)
    root.add_span_handler(spans)
    yield kept
    root.event_handlers.remove(events)
    root.span_handlers.remove(spans)


def told(world, notes, run):
    """All that the caller, the user's handlers and the server saw."""
    notes.clear()
    world.seen = []
    try:
        output = shown(run())
    except Exception as error:
        output = repr(error)
    return {"output": output, "requests": Counter(world.seen), "notes": Counter(notes)}


def compared(module, world, notes, run):
    run()  # what is made once
    bare = told(world, notes, run)
    td.instrument()
    watcher = discover.Observation()
    stop = watcher.watch()
    run()
    stop()
    parameters = discover.find(watcher.sent).parameters
    assert parameters
    with discover.discovered(parameters), td.using({}), td.record() as recorded:
        seen = told(world, notes, run)
    assert recorded.records
    assert seen == bare
    td.uninstrument()
    assert told(world, notes, run) == bare
    return bare


@pytest.mark.parametrize("name", NAMES)
def test_outputs_events_spans_and_requests_are_the_same(load, world, notes, name):
    module = load(name)
    bare = compared(module, world, notes, lambda: runnable(module)(module.INPUTS[0]))
    assert bare["requests"]
    assert bare["notes"]


@pytest.mark.parametrize("name", NAMES)
def test_awaited_it_is_the_same(load, world, notes, name):
    module = load(name)
    compared(module, world, notes, lambda: in_loop(module.aprogram(module.INPUTS[0])))


def streaming(module):
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.response_synthesizers import get_response_synthesizer

    return RetrieverQueryEngine.from_args(
        module.Shelf(),
        response_synthesizer=get_response_synthesizer(llm=module.llm, text_qa_template=module.PROMPT, streaming=True),
    )


def test_the_pieces_of_a_stream_are_the_same(load, world, notes):
    module = load("rag")
    engine = streaming(module)
    bare = compared(module, world, notes, lambda: list(engine.query(module.INPUTS[0]).response_gen))
    assert bare["output"].count(",") > 2


def test_the_events_of_an_agents_stream_are_the_same(load, world, notes):
    module = load("function_agent")

    async def events():
        running = module.agent.run(module.INPUTS[0])
        return [type(event).__name__ async for event in running.stream_events()], str(await running)

    compared(module, world, notes, lambda: in_loop(events()))


def test_a_stream_that_is_left_half_way_ends_its_records(load):
    module = load("rag")
    engine = streaming(module)
    td.instrument()
    with td.record() as run:
        pieces = engine.query(module.INPUTS[0]).response_gen
        next(pieces)
        pieces.close()
        del pieces
    (model,) = [record for record in run.records if record.kind == "llm"]
    assert model.end > model.start
    assert "tracediff.unfinished" in model.attributes or "tracediff.fault" in model.attributes


def test_an_exception_of_a_step_is_the_same(load, world, notes):
    module = load("rag")
    module.Shelf._retrieve = lambda self, query_bundle: [][1]

    def run():
        try:
            module.program(module.INPUTS[0])
        except IndexError as error:
            return repr(error)

    bare = told(world, notes, run)
    td.instrument()
    with td.record():
        assert told(world, notes, run) == bare


def test_with_everything_off_nothing_is_kept(load):
    module = load("rag")
    td.instrument()
    from tracediff.capture.enclosing import finders

    (around,) = finders.all
    module.program(module.INPUTS[0])
    assert around.__self__.by_id == {}
    with td.record():
        module.program(module.INPUTS[0])
    assert around.__self__.by_id == {}
