"""The simulated agent and the label questions: right with every skill, a symptom for each one missing, and able to fail."""

import json

import pytest

openai = pytest.importorskip("openai")

from tests.simulate.test_world import quiet  # noqa: E402
from tracediff.simulate import Server, data, labelled_samples, one_hop_samples, two_hop_samples  # noqa: E402
from tracediff.simulate.agent import Tool, act, respond  # noqa: E402
from tracediff.simulate.questions import LABELS, label_of  # noqa: E402
from tracediff.simulate.solver import Message, solve  # noqa: E402

PROMPT = "Use the tools to find the answer."
TOOLS = (Tool("search", "Find paragraphs.", "query"), Tool("finish", "Give the answer.", "answer"))
IN_TEXT = "Use the tools. Write one line at a time, such as Action: search[words] or Action: finish[answer]."


def facts_of(seed):
    return data.facts_in("\n".join(two_hop_samples(seed, 1).corpus))


def run(world, question, prompt=PROMPT, tools=TOOLS, steps=4):
    """Return (answer, replies) of a program that looks facts up as they are asked for."""
    facts = facts_of(world.seed)
    messages, replies = [Message("system", prompt), Message("user", question)], []
    for _ in range(steps):
        reply = act(world, messages, tools)
        replies.append(reply)
        (call,) = reply.calls
        if call.name == "finish":
            return call.arguments["answer"], replies
        _, relation, _, entity = call.arguments["query"].split()
        found = f"The {relation} of {entity} is {facts.get((relation, entity), 'nobody')}."
        messages += [Message("assistant", reply.text), Message("tool", found)]
    return None, replies


@pytest.mark.parametrize("seed", range(3))
def test_with_every_skill_the_agent_finds_each_answer_in_two_searches(seed):
    world = quiet(seed)
    for sample in two_hop_samples(seed, 40).samples:
        answer, replies = run(world, sample["question"], world.with_all_skills(PROMPT))
        assert answer == sample["answer"]
        assert [len(r.calls) for r in replies] == [1, 1, 1]
        assert not any(world.symptoms_in(r.text) for r in replies)


@pytest.mark.parametrize("seed", range(3))
def test_without_skills_every_fault_ends_wrong_with_its_symptom_and_the_agent_gives_up(seed):
    world = quiet(seed)
    wrong, natures = 0, set()
    for sample in two_hop_samples(seed, 60).samples:
        answer, replies = run(world, sample["question"])
        shown = {s for r in replies for s in world.symptoms_in(r.text)}
        faults = set(world.faults(PROMPT, "act", sample["question"]))
        assert answer is not None and shown <= faults
        assert (answer == sample["answer"]) == (not shown)
        natures |= {s.nature for s in shown}
        wrong += bool(shown)
    assert 15 < wrong < 55 and natures == {"own", "inputs"}


def test_advice_in_a_tools_description_is_read():
    world = quiet(1)
    told = world.with_all_skills(PROMPT).removeprefix(PROMPT)
    described = (TOOLS[0]._replace(description=told), TOOLS[1])
    for sample in two_hop_samples(1, 20).samples:
        assert run(world, sample["question"], tools=described)[0] == sample["answer"]


def test_steps_in_text_are_the_steps_of_the_tools():
    world = quiet(2)
    prompt = world.with_all_skills(IN_TEXT)
    facts = facts_of(2)
    for sample in two_hop_samples(2, 10).samples:
        steps = ""
        for _ in range(3):
            asked = f"{prompt}\n<question>{sample['question']}</question>\n<steps>\n{steps}\n</steps>"
            action = respond(world, [Message("user", asked)]).text.splitlines()[-1]
            kind, _, argument = action.removeprefix("Action: ").removesuffix("]").partition("[")
            if kind == "finish":
                break
            _, relation, _, entity = argument.split()
            steps += f"{action}\nObservation: The {relation} of {entity} is {facts[relation, entity]}.\n"
        assert (kind, argument) == ("finish", sample["answer"])


def test_without_a_tool_to_finish_the_answer_is_text():
    world = quiet(2)
    sample = two_hop_samples(2, 1).samples[0]
    (first, second, entity), facts = data.hops(sample["question"]), facts_of(2)
    bridge = facts[first, entity]
    said = [
        Message("system", world.with_all_skills(PROMPT)),
        Message("user", sample["question"]),
        *(Message("tool", f"The {r} of {e} is {facts[r, e]}.") for r, e in ((first, entity), (second, bridge))),
    ]
    reply = act(world, said, TOOLS[:1])
    assert not reply.calls and reply.text.endswith(f"Answer: {sample['answer']}")


SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


@pytest.fixture
def client():
    with (
        Server(quiet(1)) as server,
        openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as made,
    ):
        yield made


def test_tool_calls_over_the_wire_whole_streamed_and_as_responses(client):
    question = two_hop_samples(1, 1).samples[0]["question"]
    messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": question}]
    tool = {"name": "search", "description": "Find paragraphs.", "parameters": SCHEMA}
    given = {"model": "sim-solver", "messages": messages, "tools": [{"type": "function", "function": tool}]}
    whole = client.chat.completions.create(**given)
    (call,) = whole.choices[0].message.tool_calls
    assert whole.choices[0].finish_reason == "tool_calls" and call.function.name == "search"
    query = json.loads(call.function.arguments)["query"]
    assert query.startswith("The ") and whole.usage.completion_tokens > len(query.split())

    with client.chat.completions.stream(**given) as stream:
        final = stream.get_final_completion().choices[0]
    assert final.message.tool_calls[0].function.arguments == call.function.arguments
    assert (final.message.content, final.finish_reason) == (whole.choices[0].message.content, "tool_calls")

    tools = [{"type": "function", **tool}]
    response = client.responses.create(model="sim-solver", instructions=PROMPT, input=question, tools=tools)
    (called,) = [item for item in response.output if item.type == "function_call"]
    assert json.loads(called.arguments) == {"query": query}
    with client.responses.stream(model="sim-solver", instructions=PROMPT, input=question, tools=tools) as events:
        assert events.get_final_response().output[-1].arguments == called.arguments

    gone_wrong = {"type": "function_call_output", "call_id": called.call_id, "output": "Nothing was found."}
    turns = [{"role": "user", "content": question}, called.model_dump(exclude={"parsed_arguments"}), gone_wrong]
    after = client.responses.create(model="sim-solver", instructions=PROMPT, input=turns, tools=tools)
    assert after.output_text.endswith("Answer: unknown")


def test_tools_of_wrong_shape_are_refused_and_odd_ones_are_passed_over(client):
    asked = {"model": "sim-solver", "messages": [{"role": "user", "content": "x"}]}
    with pytest.raises(openai.BadRequestError, match="Invalid type for 'tools'"):
        client.chat.completions.create(**asked, extra_body={"tools": {"name": "search"}})
    odd = [1, {}, {"type": "function", "function": {"name": "search", "parameters": {"properties": []}}}]
    assert client.chat.completions.create(**asked, extra_body={"tools": odd}).choices[0].message.content


def test_labels_are_right_with_every_skill_and_wrong_with_a_symptom_without():
    world, asked = quiet(3), "Classify the question."
    samples = labelled_samples(3, 80)
    assert {s["answer"] for s in samples} == set(LABELS)
    wrong = 0
    for sample in samples:
        assert label_of(sample["question"]) == sample["answer"]
        told, bare = (
            solve(world, [Message("system", text), Message("user", sample["question"])])
            for text in (world.with_all_skills(asked), asked)
        )
        assert told.endswith(f"Label: {sample['answer']}")
        faults = set(world.faults(asked, "classify", sample["question"]))
        assert set(world.symptoms_in(bare)) == faults
        assert bare.endswith(f"Label: {sample['answer']}") == (not faults)
        wrong += bool(faults)
    assert 20 < wrong < 75
    assert label_of("What time is it?") is None


def test_one_hop_questions_are_answered_from_one_paragraph_of_the_same_corpus():
    world, paragraphs = quiet(4), one_hop_samples(4, 60)
    assert paragraphs.corpus == two_hop_samples(4, 3).corpus
    assert len({s["question"] for s in paragraphs.samples}) == 60
    prompt = world.with_all_skills("Answer the question.")
    for sample in paragraphs.samples:
        (relation,), entity = data.chain(sample["question"])
        (right,) = [p for p in paragraphs.corpus if f"The {relation} of {entity} is" in p]
        asked = f"{prompt}\n<question>{sample['question']}</question>\n<passages>\n{{}}\n</passages>"
        assert solve(world, [Message("user", asked.format(right))]).endswith(f"Answer: {sample['answer']}")
        assert world.gap in solve(world, [Message("user", asked.format("Nothing."))])
    with pytest.raises(ValueError, match="one-hop"):
        one_hop_samples(4, 10_000)
