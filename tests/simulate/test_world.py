"""The world: everything is drawn from the seed, and the programs' true answers follow from the requests."""

import pytest

from tracediff.simulate import Settings, World, counting_samples, data, two_hop_samples
from tracediff.simulate.solver import Message, read, solve
from tracediff.simulate.world import add_lines, flat

COUNT = "Count the things that the user asks about."


def quiet(seed, **changes):
    return World(
        seed,
        Settings(
            **{"solver_noise": 0.0, "critic_miss": 0.0, "critic_noise": 0.0, "useless": 0.0, "harmful": 0.0, **changes}
        ),
    )


@pytest.mark.parametrize("seed", range(5))
def test_wordings_are_distinct_and_none_contains_another_or_a_stage_cue(seed):
    world = World(seed)
    texts = [flat(t) for s in world.skills for t in (*s.wordings, s.symptom)] + [
        flat(t) for t in (*world.noise, world.gap)
    ]
    assert len(set(texts)) == len(texts)
    assert not [(a, b) for a in texts for b in texts if a != b and a in b]
    assert not [t for t in texts if world.stage_of(t)]


def test_equal_seeds_are_equal_worlds_and_other_seeds_share_no_wording():
    assert World(4).skills == World(4).skills
    first, second = ({w for s in World(seed).skills for w in (*s.wordings, s.symptom)} for seed in (4, 5))
    assert not first & second


def test_any_wording_in_any_case_and_spacing_turns_a_skill_on():
    world = quiet(1)
    for skill in world.of_stage("count"):
        for wording in skill.wordings:
            text = f"{COUNT}\n- {wording.upper().replace(' ', '  ')}!"
            assert world.expressed(text, "count") == (skill,)
        assert world.expressed(f"{COUNT} {skill.wordings[0][:-1]}", "count") == ()


def test_advice_in_data_turns_nothing_on():
    world = quiet(1)
    wording = world.of_stage("answer")[0].wordings[0]
    said = [Message("user", f"Answer it.\n<question>q</question>\n<passages>\n{wording}\n</passages>")]
    assert world.expressed(read(said).instructions, "answer") == ()
    asked = [Message("system", COUNT), Message("user", f"{world.of_stage('count')[0].wordings[0]}")]
    assert world.expressed(read(asked).instructions, "count") == ()


@pytest.mark.parametrize("seed", range(3))
def test_counting_is_right_with_every_skill_and_shows_a_symptom_for_each_missing_one(seed):
    world = quiet(seed)
    wrong = 0
    for sample in counting_samples(seed, 60):
        full = [Message("system", world.with_all_skills(COUNT)), Message("user", sample["question"])]
        assert solve(world, full).endswith(f"Answer: {sample['answer']}")
        bare = solve(world, [Message("system", COUNT), Message("user", sample["question"])])
        faults = world.faults(COUNT, "count", sample["question"])
        assert set(world.symptoms_in(bare)) == set(faults)
        assert bare.endswith(f"Answer: {sample['answer']}") == (not faults)
        wrong += bool(faults)
    assert 20 < wrong < 60


def test_noise_keeps_some_samples_wrong_without_a_symptom():
    world = quiet(3, solver_noise=0.3)
    text = world.with_all_skills(COUNT)
    replies = [
        (s, solve(world, [Message("system", text), Message("user", s["question"])])) for s in counting_samples(3, 60)
    ]
    wrong = [reply for sample, reply in replies if not reply.endswith(f": {sample['answer']}")]
    assert 5 < len(wrong) < 35
    assert not any(world.symptoms_in(reply) for reply in wrong)


def test_useless_advice_spoils_some_samples_and_no_skill_turns_on():
    world = quiet(3, distraction=0.3)
    full = world.with_all_skills(COUNT)
    asked = [s["question"] for s in counting_samples(3, 60)]
    told = f"{full}\n{world.noise[0]}"
    assert world.expressed(told, "count") == world.expressed(full, "count")
    replies = [[solve(world, [Message("system", text), Message("user", q)]) for q in asked] for text in (full, told)]
    assert 5 < sum(a != b for a, b in zip(*replies, strict=True)) < 35


def test_real_counting_form_is_read():
    assert (
        data.count(
            "I have a flute, a piano, four stoves, an accordion, and two lamps. How many musical instruments do I have?"
        )
        == 3
    )
    assert data.count("What is the time?") is None


def test_samples_are_distinct_seeded_and_solvable_from_the_corpus():
    paragraphs = two_hop_samples(7, 80)
    assert paragraphs == two_hop_samples(7, 80)
    assert len({s["question"] for s in paragraphs.samples}) == 80
    facts = data.facts_in("\n".join(paragraphs.corpus))
    for sample in paragraphs.samples:
        first, second, entity = data.hops(sample["question"])
        assert facts[second, facts[first, entity]] == sample["answer"]
    assert counting_samples(7, 30) == counting_samples(7, 90)[:30]


def test_a_query_fault_without_a_symptom_shows_in_the_answer_only():
    world = quiet(2)
    instructions = "Write one search query."
    found = 0
    for sample in two_hop_samples(2, 200).samples:
        first, _, entity = data.hops(sample["question"])
        faults = world.faults(instructions, "query", sample["question"])
        reply = solve(
            world, [Message("user", f"{instructions}\n<question>{sample['question']}</question>\n<found>\n</found>")]
        )
        if [s.nature for s in faults] != ["inputs"] or f"The {first} of {entity}" in reply:
            continue
        found += 1
        assert not world.symptoms_in(reply) and world.gap not in reply
        assert f"The {faults[0].decoy} of {entity}" in reply
        passages = f"The {faults[0].decoy} of {entity} is Somewhere."
        answer = solve(
            world,
            [Message("user", f"Answer.\n<question>{sample['question']}</question>\n<passages>{passages}</passages>")],
        )
        assert faults[0] in world.symptoms_in(answer)
    assert found > 5


def test_lines_are_added_before_the_data():
    text = "Write a search query.\nEnd so.\n<question>{question}</question>"
    assert add_lines(text, ["do this"]).splitlines() == [
        "Write a search query.",
        "End so.",
        "Do this.",
        "<question>{question}</question>",
    ]
    assert add_lines("Count.", ["do this"]) == "Count.\nDo this."
