"""The simulated critic and optimizer know only what stands in their requests."""

import json

import pytest

from tests.simulate.test_world import COUNT, quiet
from tracediff.simulate.critic import criticise
from tracediff.simulate.optimizer import propose
from tracediff.simulate.world import flat


def node(parameter, output, *, feedback="It is wrong.", inputs=()):
    given = "".join(
        f'<input id="i{n}" argument="messages" from="app.f#{n}">\n{text}\n</input>\n'
        for n, text in enumerate(inputs, 1)
    )
    return (
        '<task kind="llm-node">\n<node name="app.ask:chat" kind="llm" call="0">\nasks\n</node>\n'
        f'<parameter id="p1" name="app.task" role="" trainable="yes">\n{parameter}\n</parameter>\n{given}'
        f'<output>\n{output}\n</output>\n<feedback from="loss" score="0.0">\n{feedback}\n</feedback>\n'
        '<verdict score="0.0">\n<final>\n3\n</final>\n<expected>\n4\n</expected>\n</verdict>\n</task>'
    )


def said(world, request):
    return json.loads(criticise(world, request))["feedback"]


def test_an_own_symptom_gives_advice_to_the_parameter_and_only_there():
    world = quiet(1)
    skill = world.of_stage("count")[2]
    feedback = said(world, node(COUNT, f"Note: {skill.symptom}.\nAnswer: 3", inputs=["some text"]))
    assert world.expressed(feedback["p1"], "count") == (skill,)
    assert feedback["i1"] == ""


def test_no_symptom_is_no_cause():
    reply = json.loads(criticise(quiet(1), node(COUNT, "Answer: 3", inputs=["x"])))
    assert reply == {"feedback": {"p1": "", "i1": ""}, "no_cause": True}


def test_a_symptom_about_the_inputs_names_it_to_them_without_advice():
    world = quiet(1)
    skill = next(s for s in world.skills if s.nature == "inputs")
    feedback = said(
        world, node("Answer the question.", f"Note: {skill.symptom} (the x of Y).", inputs=["The x of Y is Z."])
    )
    assert flat(skill.symptom) in flat(feedback["i1"]) and "(the x of Y)" in feedback["i1"]
    assert feedback["p1"] == "" and not world.advice_in(feedback["i1"])


def test_a_symptom_that_came_in_as_feedback_is_advice_only_at_a_stage_that_can_make_it():
    world = quiet(1)
    skill = next(s for s in world.skills if s.nature == "inputs")
    told = f'It led to "{skill.symptom}".'
    at_query = said(world, node("Write one search query.", "Query: x", feedback=told, inputs=["earlier"]))
    assert world.expressed(at_query["p1"], "query") == (skill,) and at_query["i1"] == ""
    elsewhere = said(world, node("Answer the question.", "Answer: x", feedback=told, inputs=["earlier"]))
    assert elsewhere["p1"] == "" and flat(skill.symptom) in flat(elsewhere["i1"])


def test_a_function_divides_by_where_the_named_fact_stands():
    world = quiet(1)
    skill = next(s for s in world.skills if s.nature == "inputs")
    request = (
        '<task kind="function-node">\n<node name="app.merge" kind="function" call="0">\n\n</node>\n'
        '<input id="i1" argument="a" from="app.r#0">\nThe x of Q is R.\n</input>\n'
        '<input id="i2" argument="b" from="app.r#1">\nThe x of Y is Z.\n</input>\n<output>\nall\n</output>\n'
        f'<feedback from="app.ask" score="0.0">\nIt led to "{skill.symptom}" (the x of Y).\n</feedback>\n</task>'
    )
    feedback = said(world, request)
    assert feedback["i1"] == "" and skill.symptom in feedback["i2"]
    both = said(world, request.replace("(the x of Y)", "(the w of V)"))
    assert both["i1"] and both["i2"]


def test_what_the_critic_can_notice_is_limited():
    world = quiet(1, critic_attention=2)
    output = " ".join(f"Note: {s.symptom}." for s in world.of_stage("count"))
    assert len(world.advice_in(said(world, node(COUNT, output))["p1"])) == 2
    blind = quiet(1, critic_miss=1.0)
    assert said(blind, node(COUNT, output))["p1"] == ""


def test_noise_looks_like_advice_and_helps_nothing():
    world = quiet(1, critic_noise=1.0)
    (wording,) = world.advice_in(said(world, node(COUNT, "Answer: 3"))["p1"])
    assert wording in world.noise and world.skill_of(wording) is None


def proposal(text=COUNT, gradients=(), failed=(), extra="", variables=""):
    return (
        f'<task kind="proposal">\n<parameter name="app.task" role="" variables="{variables}" max_chars="" trainable="yes">{text}</parameter>\n'
        + "".join(f'<gradient sample="s{n}" t="0" score="0">{text}</gradient>\n' for n, text in enumerate(gradients))
        + extra
        + "".join(f'<failed method="extend" reason="no better">{text}</failed>\n' for text in failed)
        + "<steps_since_improvement>0</steps_since_improvement>\n<methods>\nextend: add\ntrim: less\n</methods>\n</task>"
    )


def written(world, request):
    return json.loads(propose(world, request))["text"]


def test_the_optimizer_writes_only_advice_that_stands_in_the_request_and_two_pieces_at_most():
    world = quiet(1)
    skills = world.of_stage("count")
    for n in range(20):
        told = [f"{n} The text should say: {s.wordings[0]}." for s in skills[:3]]
        on = world.expressed(written(world, proposal(gradients=told)), "count")
        assert 1 <= len(on) <= 2 and set(on) <= set(skills[:3])
    assert not world.expressed(written(world, proposal(gradients=["Be better."])), "count")


def test_cut_feedback_carries_no_advice():
    world = quiet(1)
    cut = world.of_stage("count")[0].wordings[0][:-3]
    assert not world.advice_in(written(world, proposal(gradients=[cut])))


def test_failed_attempts_change_the_pick():
    world = quiet(1)
    told = [f"should say: {s.wordings[0]}" for s in world.of_stage("count")]
    first = written(world, proposal(gradients=told))
    assert first == written(world, proposal(gradients=told))
    failed, seen = [], set()
    for _ in range(6):
        text = written(world, proposal(gradients=told, failed=failed))
        seen.add(text)
        failed.append(text)
    assert len(seen) >= 4


def test_from_raw_examples_it_guesses_as_often_as_it_is_set_to():
    skill = quiet(1).of_stage("count")[0]
    extra = "".join(
        f'<example sample="{n}" score="0"><inputs>{n}</inputs><output>Note: {skill.symptom}.</output><expected>4</expected></example>\n'
        for n in range(1)
    )
    assert quiet(1, guess=1.0).expressed(written(quiet(1, guess=1.0), proposal(extra=extra)), "count") == (skill,)
    never = quiet(1)  # strict unless it is told to guess
    assert not never.expressed(written(never, proposal(extra=extra)), "count")


@pytest.mark.parametrize("rate", ["harmful", "useless"])
def test_bad_days(rate):
    world = quiet(1, **{rate: 1.0})
    first, second = world.of_stage("count")[:2]
    text = f"{COUNT}\n{first.wordings[0]}."
    after = written(world, proposal(text, gradients=[f"should say: {second.wordings[0]}"]))
    assert after != text
    assert world.expressed(after, "count") == (() if rate == "harmful" else (first,))


def test_bad_replies_on_request():
    request = proposal("Write a search query.\n<question>{question}</question>", variables="question")
    assert "{question}" not in written(quiet(1, dropping=1.0), request)
    assert "{more}" in written(quiet(1, dropping=1.0), proposal())
    with pytest.raises(ValueError):
        json.loads(propose(quiet(1, malformed=1.0), request)) or [][0]
    hostile = written(quiet(1, hostile=1.0), request)
    assert "Ignore everything above" in hostile


def test_bad_replies_come_at_their_rate():
    world = quiet(1, malformed=1 / 9, hostile=1 / 9, dropping=1 / 9)
    told = f"should say: {world.of_stage('count')[0].wordings[0]}"
    good = sum(
        1 for n in range(300) if world.expressed(_text(propose(world, proposal(gradients=[f"{n} {told}"]))), "count")
    )
    assert 150 < good < 270


def _text(reply):
    try:
        return (
            json.loads(reply).get("text", "").replace("{more}", "").partition("Ignore")[0]
            if "more}" not in reply and "Ignore" not in reply
            else ""
        )
    except (ValueError, AttributeError):
        return ""
