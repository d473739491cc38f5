"""The graph of each program has the edges that are written beside it."""

import pytest

import tracediff as td
from tests.integrations.langchain.conftest import NAMES, in_loop
from tests.integrations.programs import inferred, parsed


@pytest.mark.parametrize("name", NAMES)
def test_true_edges(load, name):
    module = load(name)
    td.instrument()
    _, run = td.trace(module.program, module.INPUTS[0])
    edges, output = parsed(module.EDGES)
    found, found_output, graph = inferred(run, getattr(module, "LABELS", {}))
    told = "\n".join(graph.explain(edge) for edge in graph.edges)
    assert (found - edges, edges - found, found_output) == (set(), set(), output), told


async def _astreamed(program, given):
    return [chunk async for chunk in program.astream(given)]


async def _events(program, given):
    return [event async for event in program.astream_events(given, version="v2")]


WAYS = {
    "ainvoke": lambda program, given: in_loop(program.ainvoke(given)),
    "stream": lambda program, given: list(program.stream(given)),
    "astream": lambda program, given: in_loop(_astreamed(program, given)),
    "astream_events": lambda program, given: in_loop(_events(program, given)),
    "batch": lambda program, given: program.batch([given]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["lcel_rag", "tool_agent", "few_shot", "vendor"])
def test_the_edges_are_the_same_however_it_is_run(load, name, way):
    module = load(name)
    td.instrument()
    with td.record() as run:
        WAYS[way](module.program, module.INPUTS[0])
    edges, _ = parsed(module.EDGES)
    found, _, graph = inferred(run)
    told = "\n".join(graph.explain(edge) for edge in graph.edges)
    assert (found - edges, edges - found) == (set(), set()), told


def test_a_call_of_a_client_is_one_node_and_stands_in_the_step_that_made_it(load):
    module = load("correcting")
    td.instrument()
    with td.record() as run:
        module.program(module.INPUTS[0])
    records = {record.id: record for record in run.records}
    around = lambda record: records[record.parent_id]  # noqa: E731
    calls = sorted((record for record in run.records if record.kind == "llm"), key=lambda record: record.start)
    assert [around(call).name for call in calls] == ["ChatOpenAI"] * 4
    assert [around(around(call)).name for call in calls] == ["LangGraph", "rewrite", "LangGraph", "answer"]


def test_without_the_clients_integration_the_models_run_is_the_node(load):
    module = load("lcel_rag")
    td.instrument("langchain")
    _, run = td.trace(module.program, module.INPUTS[0])
    (model,) = [record for record in run.records if record.kind == "llm"]
    assert model.name == "ChatOpenAI"
    asked = module.PROMPT.messages[1].prompt.template.format(question=module.INPUTS[0])
    assert model.inputs["messages"][1] == {"role": "user", "content": asked}
    assert model.output == {"content": module.reply("", module.INPUTS[0], {})}
    assert model.attributes["gen_ai.usage.input_tokens"] == 12
    found, output, _ = inferred(run)
    assert (found, output) == parsed(module.EDGES)


def test_a_decorated_function_inside_a_step_and_a_chain_inside_a_decorated_function(load):
    from langchain_core.runnables import RunnableLambda

    @td.functional_node(name="lc.inner")
    def inner(text):
        return text + " seen by the inner function"

    @td.functional_node(name="lc.outer")
    def outer(text):
        return RunnableLambda(lambda given: inner(given), name="step").invoke(text)

    td.instrument("langchain")
    _, run = td.trace(outer, "some words to begin with")
    parents = {record.name: record.parent_id for record in run.records}
    ids = {record.name: record.id for record in run.records}
    assert (parents["lc.inner"], parents["step"], parents["lc.outer"]) == (ids["step"], ids["lc.outer"], None)


def test_a_failing_step_is_recorded_and_its_exception_is_the_programs(load):
    from langchain_core.runnables import RunnableLambda

    trouble = KeyError("nothing there")

    def fail(_):
        raise trouble

    td.instrument("langchain")
    with pytest.raises(KeyError) as caught, td.record() as run:
        (RunnableLambda(lambda x: x) | RunnableLambda(fail)).invoke(1)
    assert caught.value is trouble
    assert {record.name: record.error for record in run.records} == {
        "RunnableLambda": None,
        "fail": "KeyError: 'nothing there'",
        "RunnableSequence": "KeyError: 'nothing there'",
    }


def test_an_interrupted_graph_is_no_error(load):
    from typing import TypedDict

    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import START, StateGraph
    from langgraph.types import Command, interrupt

    class State(TypedDict):
        plan: str

    graph = StateGraph(State)
    graph.add_node("ask", lambda state: {"plan": interrupt("is that fine with you?")})
    graph.add_edge(START, "ask")
    compiled = graph.compile(checkpointer=InMemorySaver())
    td.instrument()
    place = {"configurable": {"thread_id": "1"}}
    with td.record() as run:
        compiled.invoke({"plan": "none"}, place)
        compiled.invoke(Command(resume="yes, all of it"), place)
    nodes = [record for record in run.records if record.name == "ask"]
    assert [record.error for record in nodes] == [None, None]
    assert nodes[1].output == {"plan": "yes, all of it"}


def test_exported_without_a_recording_a_run_is_one_tree_of_spans(load):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    module = load("correcting")
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    td.instrument(tracer_provider=provider)
    module.program(module.INPUTS[0])
    spans = {span.context.span_id: span for span in kept.get_finished_spans()}
    roots = [span.name for span in spans.values() if span.parent is None]
    assert roots == ["LangGraph"]
    assert len({span.attributes["tracediff.run_id"] for span in spans.values()}) == 1
    around = lambda span: spans[span.parent.span_id].name  # noqa: E731
    assert [around(span) for span in spans.values() if span.name.startswith("chat ")] == ["ChatOpenAI"] * 4
    assert sum(span.attributes.get("gen_ai.operation.name") == "chat" for span in spans.values()) == 4
    assert {around(span) for span in spans.values() if span.name in ("retrieve", "rewrite", "answer")} == {"LangGraph"}
