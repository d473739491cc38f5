"""A phrase that two writers open with is no evidence; the same words cut out of one text are."""

import pytest

import tracediff as td
from tracediff.capture import begin

WORDS = "harbour lanterns counted slowly before winter markets opened beyond northern bridges"


def answered(name, text, output):
    call = begin(name, "llm", {"prompt": text})
    call.end(output)
    return output


def edges_into_second(prompt, first):
    with td.record() as run:
        answered("app.other", "Say something of your own.", f"{WORDS} and nobody knew why they had.")
        answered("app.first", "What did you see there?", first)
        answered("app.second", prompt, "Thank you for it")
    return [edge.source.name for edge in run.graph().edges if edge.target.name == "app.second"]


@pytest.mark.parametrize("phrase", ["Sure! Here is what I found:", "Let me think step by step."])
def test_an_opening_that_both_go_on_from_in_their_own_words_is_no_edge(phrase):
    found = edges_into_second(
        f"Summarize this page.\n{phrase} Otters sleep on their backs among drifting kelp.",
        f"{phrase} Seven ferries crossed while merchants argued about copper.",
    )
    assert found == []


def test_the_same_words_alone_on_their_line_are():
    first = "Otters sleep on drifting kelp beds. Seven ferries crossed while merchants argued."
    assert edges_into_second("Summarize this page.\nOtters sleep on drifting kelp beds\nBriefly.", first) == [
        "app.first"
    ]


def test_a_longer_opening_is_a_quotation():
    opening = "Otters sleep on their backs among drifting kelp, and seven ferries crossed while merchants argued."
    found = edges_into_second(f"Summarize this page.\n{opening} Then nobody spoke.", f"{opening} It rained all day.")
    assert found == ["app.first"]
