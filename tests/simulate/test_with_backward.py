"""The simulated critic and optimizer read the requests that the backward pass and GDPO really send."""

import json

from tests.simulate.test_world import quiet
from tracediff.autodiff.driver import backward
from tracediff.autodiff.losses import Loss
from tracediff.engine import EngineReply
from tracediff.optim.base import Evidence
from tracediff.optim.gdpo import Gdpo
from tracediff.simulate.critic import criticise
from tracediff.simulate.optimizer import propose
from tracediff.testing import RunBuilder

QUERY = "Write one search query.\n<question>{question}</question>\n<found>\n{found}\n</found>"


def two_hops(world, *, fault, hop):
    """A run in which the query of one hop asks for another fact, without a symptom of its own."""
    run = RunBuilder("s1")
    asked = [("founder", "Kadan"), ("rival", "Lomond")]
    asked[hop] = (fault.decoy, asked[hop][1])
    found, passages = "", []
    for relation, entity in asked:
        prompt = run.prompt("app.query_prompt", QUERY, question="q?", found=found)
        query = run.llm("app.ask:chat", f"Query: The {relation} of {entity}", messages=[prompt])
        passages.append(
            run.call("app.retrieve", [f"The {relation} of {entity} is Zelwen."], kind="retriever", query=query)
        )
        found = passages[-1]
    joined = run.call(
        "app.deduplicate",
        "\n".join(f"The {r} of {e} is Zelwen." for r, e in asked),
        kind="function",
        first=passages[0],
        second=passages[1],
    )
    task = run.prompt("app.answer_task", "Answer the question from the passages.")
    told = f"Note: {fault.symptom} (the {fault.decoy} of {asked[hop][1]}).\nAnswer: unknown"
    answer = run.llm("app.ask:chat", told, messages=[task, joined])
    return run.graph(run.call("app.last_line", "unknown", kind="function", reply=answer))


def engine_of(world):
    return lambda request: EngineReply(criticise(world, request.user))


def test_advice_travels_back_over_retriever_and_deduplication_to_the_query_prompt_of_its_hop():
    world = quiet(1)
    fault = [s for s in world.skills if s.nature == "inputs"][1]
    for hop in (0, 1):
        graph = two_hops(world, fault=fault, hop=hop)
        found = backward(
            graph, Loss(0.0, "The answer is 'unknown', expected was 'Zelwen'.", ground_truth="Zelwen"), engine_of(world)
        )
        advised = [g for g in found.parameters["app.query_prompt"] if world.advice_in(g.feedback)]
        assert {skill.name for g in advised for skill in world.expressed(g.feedback, "query")} == {fault.name}
        assert hop in {g.index for g in advised}
        assert "app.answer_task" not in found.parameters


def test_a_loss_without_words_costs_one_call_and_reaches_the_parameter():
    world = quiet(1)
    skill = world.of_stage("count")[0]
    run = RunBuilder("s1")
    task = run.prompt("app.task", "Count the things.")
    reply = run.llm("app.program:chat", f"Note: {skill.symptom}.\nAnswer: 3", messages=[task, "I have two figs."])
    graph = run.graph(run.call("app.last_number", "3", kind="function", reply=reply))
    found = backward(graph, Loss(0.0, ground_truth="2"), engine_of(world))
    assert world.expressed(found.parameters["app.task"][0].feedback, "count") == (skill,)
    assert found.engine_calls == 2


def test_the_proposal_takes_the_advice_up():
    world = quiet(1)
    fault = next(s for s in world.skills if s.nature == "inputs")
    graph = two_hops(world, fault=fault, hop=1)
    found = backward(graph, Loss(0.0, "wrong", ground_truth="Zelwen"), engine_of(world))
    parameters = {p.name: p for p in graph.parameters}
    optimizer = Gdpo()
    state = optimizer.init({name: p.text for name, p in parameters.items()}, 0.0)
    evidence = Evidence(parameters, ("app.query_prompt",), gradients=found.parameters)
    request = optimizer.request(state, evidence, "app.query_prompt")
    reply = json.loads(propose(world, request.user, ("extend",)))
    assert world.expressed(reply["text"], "query") == (fault,)
    assert reply["text"].index(world.advice_in(reply["text"].lower())[0][1:]) < reply["text"].index("<question>")
