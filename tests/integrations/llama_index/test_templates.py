"""Templates that the framework fills in are told to the index as their authors wrote them, with the slots' names."""

import pytest

import tracediff as td
from tests.integrations.programs import in_loop, runnable
from tracediff import discover


@pytest.fixture
def found(load, world):
    """Return a function: the parameters of what it runs, by the text's beginning."""
    td.instrument()

    def run(ask):
        watcher = discover.Observation()
        stop = watcher.watch()
        try:
            with td.record():
                ask()
        finally:
            stop()
        return {p.text[:12]: p for p in discover.find(watcher.sent).parameters}

    return run


def made(text):
    """A text that stands in no source as it is: as if it came from a file or a hub."""
    return "".join(chr(ord(letter)) for letter in text)


def test_a_template_from_elsewhere(load, found):
    module = load("rag")
    from llama_index.core import PromptTemplate

    text = made("".join(["Reply to a boat", "man on {topic} as a pilot would, in {count} words."]))
    template = PromptTemplate(text)
    (parameter,) = [
        p for p in found(lambda: module.llm.predict(template, topic="tides", count=9)).values() if not p.file
    ]
    assert (parameter.text, parameter.variables) == (text, ("topic", "count"))
    assert "PromptTemplate" in parameter.note


def test_a_chat_template_and_partial_values(load, found):
    module = load("rag")
    from llama_index.core import ChatPromptTemplate

    system, user = made("Speak as the keeper of {place} and stay brief."), made("The guest asks this much: {question}")
    template = ChatPromptTemplate.from_messages([("system", system), ("user", user)]).partial_format(place="a lock")
    parameters = found(lambda: module.llm.predict(template, question="how deep"))
    assert {p.text: p.variables for p in parameters.values() if p.text in (system, user)} == {
        system: ("place",),
        user: ("question",),
    }


def test_a_rich_template_of_roles(load, found):
    module = load("rag")
    from llama_index.core.prompts import RichPromptTemplate

    text = made(
        '{% chat role="system" %}\nWeigh each claim of {{ town }} by its date.\n{% endchat %}\n'
        '{% chat role="user" %}\nThe claim to weigh today: {{ claim }}\n{% endchat %}'
    )
    template = RichPromptTemplate(text)
    parameters = found(lambda: module.llm.predict(template, town="Ulm", claim="a boundary stone"))
    assert parameters["Weigh each c"].variables == ("town",)
    assert parameters["The claim to"].variables == ("claim",)


def test_a_template_that_functions_fill(load, found):
    module = load("rag")
    from llama_index.core import PromptTemplate

    text = made("Take these notes into account: {notes} and then say what {who} should do.")
    template = PromptTemplate(text, function_mappings={"notes": lambda **_: "wind from the north"})
    parameters = found(lambda: module.llm.predict(template, who="a sailor"))
    assert parameters["Take these n"].variables == ("notes", "who")


def test_the_frameworks_own_prompts_have_the_names_of_their_purpose(load, found):
    module = load("rag")
    from llama_index.core.query_engine import RetrieverQueryEngine

    engine = RetrieverQueryEngine.from_args(module.Shelf(), llm=module.llm)
    names = {p.name: p for p in found(lambda: engine.query(module.INPUTS[0])).values() if not p.file}
    (parameter,) = [p for name, p in names.items() if "text_qa" in name]
    assert parameter.variables == ("context_str", "query_str")
    assert parameter.status == "trainable"


def test_prompts_that_a_mixin_updates(load, found):
    module = load("rag")
    from llama_index.core import PromptTemplate

    text = made("Only with {context_str} at hand, tell the boatman this: {query_str}")
    module.engine.update_prompts({"response_synthesizer:text_qa_template": PromptTemplate(text)})
    assert found(lambda: module.program(module.INPUTS[0]))["Only with {c"].variables == ("context_str", "query_str")


def test_an_agents_system_prompt_from_elsewhere(load, found):
    module = load("function_agent")
    text = ".yad a steksab owt naht erom reven dna yramrifni eht rof yuB"[::-1]
    module.agent.system_prompt = text
    parameters = found(lambda: in_loop(module.aprogram(module.INPUTS[0])))
    assert (parameters[text[:12]].text, parameters[text[:12]].file) == (text, "")


def test_a_template_that_can_not_be_read_is_no_harm(load, monkeypatch):
    from tracediff.capture.faults import faults

    module = load("rag")
    td.instrument()
    before = runnable(module)(module.INPUTS[0])
    monkeypatch.setattr("tracediff_llama_index.templates.texts_of", lambda template: 1 / 0)
    noted = sum(faults.counts().values())
    assert runnable(load("rag"))(module.INPUTS[0]) == before
    assert sum(faults.counts().values()) > noted
