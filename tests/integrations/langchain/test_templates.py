"""Templates that don't stand in the program's source are found by LangChain's own, with their names."""

import json
import pathlib
import sys

import pytest

import tracediff as td
from tracediff import discover

TEXTS = json.loads((pathlib.Path(__file__).parent / "kept" / "texts.json").read_text())
"""As a hub or a database gives them; the index is kept from reading the file."""


@pytest.fixture
def found(load, world, monkeypatch):
    """Return what is discovered of a chain by one run on each input."""
    from langchain_openai import ChatOpenAI

    load("lcel_rag")
    world.reply = lambda system, said, body: "an answer of some sort"
    td.instrument()

    def find(build, *inputs):
        runnable = build(ChatOpenAI(model="sim", max_retries=0))
        watcher = discover.Observation()
        stop = watcher.watch()
        try:
            for given in inputs:
                runnable.invoke(given)
        finally:
            stop()
        monkeypatch.setattr("tracediff.discover.index._text_files", lambda folder: iter(()))
        return {parameter.text: parameter for parameter in discover.find(watcher.sent).parameters}

    return find


def test_a_prompt_of_a_hub(found):
    from langchain_core.prompts import ChatPromptTemplate

    prompt = ChatPromptTemplate.from_messages([("system", TEXTS["hub_system"]), ("human", TEXTS["hub_human"])])
    prompt.metadata = {"lc_hub_owner": "ada", "lc_hub_repo": "rag-prompt"}
    given = [{"mood": mood, "passages": f"passages of {mood} kind", "query": f"why {mood}"} for mood in ("red", "blue")]
    parameters = found(lambda model: prompt | model, *given)
    system, human = parameters[TEXTS["hub_system"]], parameters[TEXTS["hub_human"]]
    assert (system.status, system.variables, system.name) == ("trainable", ("mood",), "hub.rag_prompt.system")
    assert (human.status, human.variables, human.name) == ("trainable", ("passages", "query"), "hub.rag_prompt.user")
    assert "hub:ada/rag-prompt" in system.note


def test_a_literal_message_a_partial_and_another_syntax(found):
    from langchain_core.messages import SystemMessage
    from langchain_core.prompts import ChatPromptTemplate, HumanMessagePromptTemplate

    prompt = ChatPromptTemplate.from_messages(
        [
            SystemMessage(content=TEXTS["literal"]),
            HumanMessagePromptTemplate.from_template(TEXTS["mustache"], template_format="mustache"),
        ]
    ).partial(style="of ballads")
    parameters = found(lambda model: prompt | model, {"topic": "herring and salt"}, {"topic": "the last lamp"})
    assert parameters[TEXTS["literal"]].status == "trainable"
    (other,) = [p for p in parameters.values() if p.text.startswith(TEXTS["mustache"].partition("{")[0])]
    assert set(other.variables) == {"topic", "style"}


def test_few_shot_prefix_suffix_and_examples(found):
    from langchain_core.prompts import FewShotPromptTemplate, PromptTemplate

    prompt = FewShotPromptTemplate(
        examples=[{"sea": "North Sea", "fish": "cod and plaice"}, {"sea": "Baltic", "fish": "sprat and herring"}],
        example_prompt=PromptTemplate.from_template(TEXTS["example"]),
        prefix=TEXTS["prefix"],
        suffix=TEXTS["suffix"],
        input_variables=["sea"],
    )
    parameters = found(lambda model: prompt | model, {"sea": "Black Sea of old"}, {"sea": "Red Sea of today"})
    assert TEXTS["prefix"] in parameters
    (suffix,) = [p for p in parameters.values() if p.text.startswith(TEXTS["suffix"].partition("{")[0])]
    assert suffix.variables == ("sea",)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("made", ["create_agent", "create_react_agent"])
def test_the_system_prompt_of_an_agent(found, made):
    from langchain_core.tools import tool

    @tool
    def tides(place: str) -> str:
        """Tell the tides of a place on this coast for the day."""
        return place

    def build(model):
        if made == "create_agent":
            from langchain.agents import create_agent

            return create_agent(model, [tides], system_prompt=TEXTS[made])
        from langgraph.prebuilt import create_react_agent

        return create_react_agent(model, [tides], prompt=TEXTS[made])

    parameters = found(build, {"messages": [("user", "When does the boat leave?")]})
    assert parameters[TEXTS[made]].status == "trainable"


def test_a_middleware_that_writes_data_into_the_prompt_tells_nothing(found):
    from langchain.agents import create_agent
    from langchain.agents.middleware import dynamic_prompt
    from tracediff.discover.given import given_templates

    words = [" ".join(["you", "serve", "the", "guest", name, "tonight", "at", "table", "nine"]) for name in "ABC"]

    @dynamic_prompt
    def served(request):
        return words[len(request.messages)]

    found(lambda model: create_agent(model, [], middleware=[served]), {"messages": [("user", "a table please")]})
    told = {literal for template in given_templates() for p in template.patterns for literal in p.literals}
    assert told.isdisjoint(words)


def test_every_kind_of_template_is_read():
    from langchain_core.messages import AIMessage, SystemMessage
    from langchain_core.prompts import (
        AIMessagePromptTemplate,
        ChatPromptTemplate,
        FewShotChatMessagePromptTemplate,
        MessagesPlaceholder,
        PromptTemplate,
    )
    from tracediff_langchain.templates import texts_of

    shots = FewShotChatMessagePromptTemplate(
        examples=[{"a": "1", "b": "2"}],
        example_prompt=ChatPromptTemplate.from_messages([("human", "what is {a}?"), ("ai", "it is {b}")]),
    )
    prompt = ChatPromptTemplate.from_messages(
        [
            SystemMessage(content=[{"type": "text", "text": "a part"}, {"type": "image_url", "image_url": "x"}]),
            shots,
            AIMessagePromptTemplate.from_template("never {x}"),
            AIMessage(content="nor this"),
            MessagesPlaceholder("history"),
            ("human", [{"type": "text", "text": "see {it}"}, {"type": "image_url", "image_url": "{picture}"}]),
        ]
    )
    read = [(text.role, text.text) for text in texts_of(prompt) if text.text]
    assert ("system", "a part") in read
    assert ("user", "what is {a}?") in read
    assert ("user", "see {it}") in read
    assert not [text for _, text in read if text.startswith(("never", "nor", "it is"))]
    (plain,) = texts_of(PromptTemplate.from_template("say {x} as {y}"))
    assert set(plain.variables) == {"x", "y"}


def test_a_template_that_can_not_be_read_is_no_harm(monkeypatch):
    from langchain_core.prompts import PromptTemplate
    from tracediff.capture.faults import faults

    def fail(*args, **kwargs):
        raise RuntimeError("broken")

    monkeypatch.setattr("tracediff_langchain.templates.add_template", fail)
    td.instrument("langchain")
    before = sum(faults.counts().values())
    try:
        assert PromptTemplate.from_template("some words for {you}").format(you="me") == "some words for me"
    finally:
        td.uninstrument()
    assert sum(faults.counts().values()) == before + 1
    assert "langchain" in sys.modules or "langchain_core" in sys.modules
