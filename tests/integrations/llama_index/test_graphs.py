"""The graph of each program has the edges that are written beside it."""

import pytest

import tracediff as td
from tests.integrations.llama_index.conftest import NAMES
from tests.integrations.programs import in_loop, inferred, parsed, runnable


def told(graph):
    return "\n".join(graph.explain(edge) for edge in graph.edges)


@pytest.mark.parametrize("is_early", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_true_edges(load, name, is_early):
    if is_early:
        td.instrument()
    module = load(name)
    td.instrument()
    _, run = td.trace(runnable(module), module.INPUTS[0])
    edges, output = parsed(module.EDGES)
    found, found_output, graph = inferred(run)
    assert (found - edges, edges - found, found_output) == (set(), set(), output), told(graph)


@pytest.mark.parametrize("name", NAMES)
def test_the_edges_are_the_same_when_it_is_awaited(load, name):
    module = load(name)
    td.instrument()
    with td.record() as run:
        run.set_output(in_loop(module.aprogram(module.INPUTS[0])))
    edges, output = parsed(module.EDGES)
    found, found_output, graph = inferred(run)
    assert (found - edges, edges - found, found_output) == (set(), set(), output), told(graph)


def test_a_call_of_a_client_is_one_node_and_stands_in_the_step_that_made_it(load):
    module = load("rag")
    td.instrument()
    _, run = td.trace(module.program, module.INPUTS[0])
    records = {record.id: record for record in run.records}
    (call,) = [record for record in run.records if record.kind == "llm"]
    around = []
    while call.parent_id in records:
        call = records[call.parent_id]
        around.append(call.name)
    assert around[-2:] == ["CompactAndRefine.synthesize", "RetrieverQueryEngine.query"]
    assert "OpenAILike.chat" in around


def test_without_the_clients_integration_the_models_call_is_the_node(load):
    module = load("rag")
    td.instrument("llama_index")
    _, run = td.trace(module.program, module.INPUTS[0])
    (model,) = [record for record in run.records if record.kind == "llm"]
    assert model.name == "OpenAILike.chat"
    assert module.INPUTS[0] in model.inputs["messages"][0]["content"]
    assert model.output == {"content": module.reply("", "Danube", {})}
    assert model.attributes["gen_ai.request.model"] == "sim"


def test_a_stream_is_one_node_that_ends_with_its_last_piece(load):
    module = load("rag")
    td.instrument()
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.response_synthesizers import get_response_synthesizer

    engine = RetrieverQueryEngine.from_args(
        module.Shelf(),
        response_synthesizer=get_response_synthesizer(llm=module.llm, text_qa_template=module.PROMPT, streaming=True),
    )
    with td.record() as run:
        pieces = list(engine.query(module.INPUTS[0]).response_gen)
    assert "".join(pieces) == module.reply("", "Danube", {})
    (model,) = [record for record in run.records if record.kind == "llm"]
    assert model.output["content"] == "".join(pieces)
    assert ("Shelf.retrieve#0", "llm#0") in inferred(run)[0]


def test_a_failing_step_is_recorded_and_its_exception_is_the_programs(load):
    module = load("rag")
    td.instrument()
    fault = RuntimeError("the shelf is empty")

    def fail(query_bundle):
        raise fault

    module.Shelf._retrieve = lambda self, query_bundle: fail(query_bundle)
    with td.record() as run, pytest.raises(RuntimeError) as caught:
        module.program(module.INPUTS[0])
    assert caught.value is fault
    assert {record.name: record.error for record in run.records if record.error} == {
        "Shelf.retrieve": "RuntimeError: the shelf is empty",
        "RetrieverQueryEngine.query": "RuntimeError: the shelf is empty",
    }


def test_a_decorated_function_around_and_inside_of_steps(load):
    module = load("rag")
    td.instrument()
    inner = module.Shelf._retrieve
    shout = td.functional_node(lambda text: text + "!", name="shout")

    def louder(self, query_bundle):
        for item in (found := inner(self, query_bundle)):
            item.node.text = shout(item.node.text)
        return found

    module.Shelf._retrieve = louder
    outer = td.functional_node(module.program, name="outer")
    _, run = td.trace(outer, module.INPUTS[0])
    by_name = {record.name: record for record in run.records}
    assert by_name["RetrieverQueryEngine.query"].parent_id == by_name["outer"].id
    assert by_name["shout"].parent_id == by_name["Shelf.retrieve"].id
