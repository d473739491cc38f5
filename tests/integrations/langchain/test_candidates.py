"""A candidate changes exactly the named texts of requests, in its own threads and tasks; off, all is the original."""

import asyncio
import contextvars
import json
import threading

import pytest

import tracediff as td
from tests.integrations.langchain.conftest import NAMES, in_loop
from tests.integrations.programs import discovered, marked, strings
from tracediff import discover
from tracediff.graph.runs import record


@pytest.mark.parametrize("name", NAMES)
def test_prompts_are_found_by_their_source(load, name):
    module = load(name)
    td.instrument()
    _, parameters = discovered(module)
    for role, beginning in module.PROMPTS.items():
        (found,) = [parameter for parameter in parameters if parameter.text.startswith(beginning)] or parameters
        assert found.status == "trainable" or role == "tool", found
        assert found.file.endswith(f"programs/{name}.py")
        assert found.line > 0


SLOTS = {
    "lcel_rag": {"You answer": ("context",), "Please answer": ("question",)},
    "correcting": {"Does this": ("note", "question")},
    "map_reduce": {"Sum up": ("part",), "The parts,": ("sums",)},
    "few_shot": {"Word: {word}": ("word",)},
    "branching": {"Sort the": ("letter",), "Guest: {letter}": ("letter", "reason")},
    "claude": {"You are": ("town",)},
    "structured": {"The customer's": ("product", "wish")},
}


@pytest.mark.parametrize("name", [name for name in SLOTS if name in NAMES])
def test_slots_have_the_names_of_the_source(load, name):
    module = load(name)
    td.instrument()
    _, parameters = discovered(module)
    for beginning, variables in SLOTS[name].items():
        found = [parameter for parameter in parameters if parameter.text.startswith(beginning)]
        assert variables in [parameter.variables for parameter in found], parameters


@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_named_text_changes(load, world, name):
    module = load(name)
    td.instrument()
    run, parameters = discovered(module)
    trained = [parameter for parameter in parameters if parameter.status == "trainable"]
    trained = [parameter for parameter in trained if len(parameter.text.split(" ")) > 5]
    assert trained
    for parameter in trained:
        new, texts, counts = marked(parameter.text), [], []
        for candidate in ({}, {parameter.name: new}):
            world.seen = []
            getattr(module, "SENT", []).clear()
            with discover.discovered(parameters) as overlay, td.using(candidate), td.record() as recorded:
                for given in module.INPUTS:
                    run(given)
            counts.append(overlay.counts["replaced"])
            texts.append([*map(strings, world.seen or map(json.dumps, module.SENT))])
        assert counts[1] > 0 == counts[0]
        assert sum("MARK" in text for body in texts[1] for text in body) == counts[1]
        bare = [[text.replace(" MARK", "") for text in body] for body in texts[1]]
        assert sorted(bare) == sorted(texts[0])
        used = [record for record in recorded.records if record.kind == "prompt" and record.name == parameter.name]
        assert len(used) >= counts[1]
        assert all(record.parameter.text == new for record in used)


BEGINNING = {"lcel_rag": "You answer", "vendor": "List what"}


@pytest.mark.parametrize("name", BEGINNING)
def test_two_candidates_in_threads_and_tasks_never_mix(load, world, name):
    module = load(name)
    td.instrument()
    _, parameters = discovered(module)
    beginning = BEGINNING[name]
    (parameter,) = [parameter for parameter in parameters if parameter.text.startswith(beginning)]
    texts = {which: parameter.text.replace(beginning, f"{beginning} {which}") for which in ("FIRST", "SECOND")}
    given = lambda mark: f"the Danube {mark}" if name == "lcel_rag" else {"picture": f"picture {mark}"}  # noqa: E731
    world.seen = []
    getattr(module, "SENT", []).clear()
    start = threading.Barrier(8)

    def in_thread(number):
        which = ("FIRST", "SECOND")[number % 2]
        start.wait(10)
        for turn in range(3):
            with td.using({parameter.name: texts[which]}), td.record():
                module.program.batch([given(f"mark-{which}-{number}-{turn}")] * 2)

    async def in_task(number):
        which = ("FIRST", "SECOND")[number % 2]
        for turn in range(3):
            with td.using({parameter.name: texts[which]}), td.record():
                await module.program.ainvoke(given(f"mark-{which}-{number}-{turn}-task"))

    async def tasks():
        await asyncio.gather(*map(in_task, range(8)))

    with discover.discovered(parameters):
        threads = [threading.Thread(target=in_thread, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        in_loop(tasks())
        for thread in threads:
            thread.join()
    sent = [raw.decode() for raw in world.seen] or [json.dumps(turns) for turns in module.SENT if "mark-" in str(turns)]
    assert len(sent) == 8 * 3 * 2 + 8 * 3
    for text in sent:
        assert ("mark-FIRST" in text) == (f"{beginning} FIRST" in text)
        assert ("mark-SECOND" in text) == (f"{beginning} SECOND" in text)


def test_a_model_that_lost_the_runs_context_makes_the_trial_invalid(load):
    module = load("vendor")
    td.instrument()
    with record(is_trial=True) as run:
        contextvars.Context().run(module.other.invoke, "hello there")
    assert run.lost == ["OtherChat"]


def patched():
    """Everything that is put into LangChain, as it is now."""
    from langchain.agents.middleware import types
    from langchain_core.language_models import chat_models, llms
    from langchain_core.prompts import chat, few_shot, few_shot_with_templates, prompt
    from langchain_core.tracers import context
    from langgraph.prebuilt import chat_agent_executor

    classes = [
        chat_models.BaseChatModel,
        llms.BaseLLM,
        prompt.PromptTemplate,
        chat.ChatPromptTemplate,
        few_shot.FewShotPromptTemplate,
        few_shot.FewShotChatMessagePromptTemplate,
        few_shot_with_templates.FewShotPromptWithTemplates,
        types.ModelRequest,
    ]
    found = {(owner.__name__, name): value for owner in classes for name, value in vars(owner).items()}
    found["hooks"] = tuple(map(id, context._configure_hooks))
    found["agents"] = chat_agent_executor._get_prompt_runnable
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_after_uninstrument_everything_is_the_original(load):
    module = load("tool_agent")
    before = patched()
    td.instrument()
    module.program.invoke(module.INPUTS[0])
    on = patched()
    changed = {key for key in before if on[key] is not before[key] and on[key] != before[key]}
    assert changed >= {"hooks", "agents", ("BaseChatModel", "_convert_input"), ("PromptTemplate", "format")}
    td.uninstrument()
    after = patched()
    assert after.keys() == before.keys()
    assert [key for key in before if after[key] is not before[key] and after[key] != before[key]] == []
    from tracediff.capture.enclosing import finders

    assert finders.all == ()


def test_each_of_the_two_integrations_turns_it_on_and_the_last_one_off(load):
    module = load("lcel_rag")

    def nodes():
        with td.record() as run:
            module.program.invoke(module.INPUTS[0])
        return {record.name for record in run.records}

    td.instrument("langchain", "langgraph")
    td.uninstrument("langchain")
    assert "Shelf" in nodes()
    td.uninstrument("langgraph")
    assert nodes() == set()
    td.instrument("langgraph")
    assert "Shelf" in nodes()
