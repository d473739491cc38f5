"""Short values with punctuation within them are found as whole lines, after keys, in brackets and as whole arguments."""

import pytest

import tracediff as td
from tracediff.capture import begin

VALUES = (
    "3.5",
    "U.S.",
    "don't",
    "10:30",
    "e-mail",
    "2024-05-01",
    "John's",
    "Yes. No.",
    "$3.50",
    "a@b.com",
    "C++",
    "3,000",
)
PLACES = (
    "{}",
    "Judge this.\n{}\nOne word.",
    "Judge this.\nValue: {}\nOne word.",
    "Take the answer ({}) and judge it.",
    "Given: {}, judge it.",
    '{{"answer": "{}"}}',
)


def answered(name, text, output):
    call = begin(name, "llm", {"prompt": text})
    call.end(output)
    return output


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", VALUES)
def test_a_value_with_punctuation_is_found(place, value):
    with td.record() as run:
        answered("app.other", "What else do you see?", "7.25")
        first = answered("app.first", "What do you see?", value)
        answered("app.second", place.format(first), "Thank you for it")
    edges = {(edge.source.name, edge.target.name) for edge in run.graph().edges}
    assert edges == {("app.first", "app.second")}


def test_a_part_of_such_a_value_is_not_the_value():
    with td.record() as run:
        answered("app.first", "What do you see?", "3.5")
        answered("app.second", "Versions: 3.11, 13.5", "Thank you for it")
    assert not run.graph().edges


def test_the_same_short_prompt_read_twice_still_reaches_the_model_call():
    """A short text of two sentences, equal in two prompt nodes, was once found in neither."""
    with td.record() as run:
        for _ in range(2):
            call = begin("app.task", "prompt", {}, parameter=td.Parameter("short_values.task", "Count. Use beta."))
            text = "Count. Use beta."
            call.end(text)
        answered("app.solve", text, "wrong and missing")
    assert [edge.source.name for edge in run.graph().edges] == ["app.task"]


def test_a_value_that_stood_in_the_same_text_before_a_call_put_it_out_is_not_that_calls():
    """The name of a tool in a system prompt, sent again after the model has named that tool."""
    tools = "You have these tools.\nName: almanac\nName: ledger\nAnswer with the name of one."
    with td.record() as run:
        answered("app.first", tools, "The sky looks clear tonight over there")
        answered("app.choose", "Which one is it?", "almanac")
        answered("app.again", tools, "Thank you for it")
        answered("app.use", "Open this one now.\nName: almanac\nThen close it.", "There is nothing in it")
    assert [(edge.source.name, edge.target.name) for edge in run.graph().edges] == [("app.choose", "app.use")]


def test_a_label_that_stood_in_the_input_does_not_make_a_container_a_source():
    """The name of a tool is in the request before the model names it; the step around the call only hands it on."""
    with td.record() as run:
        step = begin("app.step", "function", {"question": "Who laid the old bridge?"})
        with step.active():
            call = begin("app.ask", "llm", {"question": "Who laid the old bridge?", "tools": [{"tool": "search"}]})
            call.end({"tool": "search", "query": "mason of the old bridge"})
        step.end({"tool": "search", "query": "mason of the old bridge"})
        answered("app.search", "mason of the old bridge", "It was laid by mason Perrin.")
    graph = run.graph()
    assert [(node.name, node.is_container) for node in graph.nodes][0] == ("app.step", True)
    assert {(edge.source.name, edge.target.name) for edge in graph.edges} == {("app.ask", "app.search")}
