"""The variables contract and rendering by concatenation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracediff.parameters import Parameter, render, slots, split, violations

P = Parameter(
    "p", "Use {context} for {question}. Reply as {json}.", ("context", "question"), frozen=("Reply",), max_chars=80
)


def test_only_declared_names_are_replaced():
    assert render('{"a": {q}} {other} {{q}}', {"q": "1"}) == '{"a": 1} {other} {1}'


def test_values_are_never_read_again():
    assert render("{a}{b}", {"a": "{b}", "b": "{a}"}) == "{b}{a}"


@pytest.mark.parametrize("hostile", ["{q.__class__}", "{q!r}", "{q:>999999999}", "{{7*7}}", "{% include 'x' %}", "{0}"])
def test_nothing_in_a_text_is_evaluated(hostile):
    assert render(hostile, {"q": "v"}) == hostile


@given(st.text(alphabet="{}ab _"), st.text(alphabet="{}ab"))
def test_split_loses_no_text(text, value):
    back = "".join(lit + ("" if var is None else "{" + var + "}") for lit, var in split(text, ("a", "b")))
    assert back == text
    assert "a" in slots(text) or render(text, {"a": value}) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Use {context}. Reply.", "lost the variable {question}"),
        ("Use {context} {question} {docs}. Reply.", "invented the variable {docs}"),
        ("Use {context} {context} {question}. Reply.", "repeats the variable {context}"),
        ("Use {context} {question}.", "frozen part 'Reply'"),
        ("Use {context} {question}. Reply." + "x" * 80, "at most 80"),
        ("  \n", "empty"),
        (None, "must be a string"),
    ],
)
def test_a_text_that_breaks_the_contract_is_refused(text, words):
    assert any(words in problem for problem in violations(P, text))


def test_a_text_that_keeps_it_is_accepted():
    assert violations(P, "Given {context}, answer {question}. Reply as {json}, briefly.") == []
    assert violations(P, "{question} first, then {context}. Reply {not a slot}.") == []
