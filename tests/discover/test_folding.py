"""Prompts that stand in no source: what three or more requests of a step share, for a person to decide on."""

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracediff as td
from tracediff import discover
from tracediff.discover.folding import alike, fold
from tracediff.discover.observe import Sent
from tracediff.discover.requests import SYSTEM, USER, Place

FORM = (
    "You judge claims for an insurer.\nClaim: {0}\nSay in one word whether it is covered.\n"
    "History of the client:\n{1}\nEnd with the word that you chose."
)
VALUES = [
    ("a broken lamp", "two claims in May"),
    ("water in a cellar", "none"),
    ("theft of a bike and its lock", "one"),
]
WORDS = [f"w{number}x" for number in range(400)]


def rendered(pattern, values):
    return pattern.literals[0] + "".join(map("".join, zip(values, pattern.literals[1:], strict=True)))


class NoSource:
    """Of a program whose prompts come from elsewhere."""

    def templates(self, files):
        return ()


def find(calls, **given):
    return discover.find(calls, NoSource(), **given)


def sent(*places, site="app.judge"):
    return Sent(site, "m", (), tuple(places), ())


def test_what_three_texts_share_is_the_literals_and_what_differs_the_slots():
    found = fold(FORM.format(*values) for values in VALUES)
    assert rendered(found, ("{0}", "{1}")) == FORM
    assert found.slots == ("claim", "history_of_the_client")


def test_two_texts_or_equal_ones_say_nothing():
    assert fold(FORM.format(*values) for values in VALUES[:2]) is None
    assert fold([FORM] * 5) is None


def test_texts_that_share_only_phrases_are_no_prompt():
    rng = random.Random(0)
    assert fold(" ".join(rng.choices(WORDS, k=60)) + " and so on." for _ in range(4)) is None
    assert fold(["the same four words one", "two the same four words", "in the same four words"]) is None


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_word_of_a_value_is_taken_for_the_prompts(data):
    """Random templates and values of words that are all different: the words of the literals are the template's."""
    words = iter(data.draw(st.permutations(WORDS)))

    def take(low, high):
        return [next(words) for _ in range(data.draw(st.integers(low, high)))]

    literals = [" ".join(take(5, 12)) for _ in range(data.draw(st.integers(1, 4)))]
    texts = ["\n".join(x for pair in ((lit, " ".join(take(1, 6))) for lit in literals) for x in pair) for _ in range(3)]
    found = fold(texts)
    assert " ".join(found.literals).split() == " ".join(literals).split()


def test_texts_of_two_prompts_in_one_step_are_folded_apart():
    other = "Write a friendly letter to {0} about {1} and keep it short."
    texts = [form.format(*values) for values in VALUES for form in (FORM, other)]
    assert [len(group) for group in alike(texts)] == [3, 3]


def test_a_prompt_in_no_source_is_listed_unlocated_and_its_texts_are_not_unexplained():
    found = find([sent(Place(("messages", 0, "content"), USER, FORM.format(*values))) for values in VALUES])
    (parameter,) = found.parameters
    assert (parameter.status, parameter.name, parameter.file) == ("unlocated", "app.judge.user", "")
    assert parameter.text == FORM.format("{claim}", "{history_of_the_client}")
    assert found.unexplained == []


def test_a_system_text_from_elsewhere_is_a_prompt_where_the_rest_differs():
    system = "You are the clerk of a small harbour office and you answer briefly."
    calls = [
        sent(Place(("messages", 0, "content"), SYSTEM, system), Place(("messages", 1, "content"), USER, value))
        for value, _ in VALUES
    ]
    assert [p.text for p in find(calls).parameters] == [system]
    assert find(calls[:1] * 3).parameters == ()


def test_what_the_program_was_given_is_data_however_alike_it_is():
    questions = [f"How many of the {thing} in my list can I eat today?" for thing in ("pears", "lamps", "birds")]
    calls = [sent(Place(("messages", 0, "content"), USER, question)) for question in questions]
    found = find(calls, given=questions)
    assert (found.parameters, found.unexplained) == ((), [])
    assert find(calls).parameters != ()


@pytest.mark.parametrize("status", ["unlocated", "trainable"])
def test_once_a_person_sets_it_trainable_it_is_replaced_and_nothing_else(tmp_path, status):
    found = find([sent(Place(("messages", 0, "content"), USER, FORM.format(*values))) for values in VALUES])
    file = tmp_path / "parameters.json"
    discover.save(file, discover.ParameterFile("program", found.parameters))
    parameter = dataclasses.replace(discover.load(file).parameters[0], status=status)
    body = {"model": "m", "messages": [{"role": "user", "content": FORM.format("a dented door", "none: a new client")}]}
    with td.using({parameter.name: "Door? {claim} / {history_of_the_client}"}):
        made = discover.Overlay([parameter])("chat/completions", body)
    wanted = {"model": "m", "messages": [{"role": "user", "content": "Door? a dented door / none: a new client"}]}
    assert made == (wanted if status == "trainable" else None)
