"""The simulated solver: does each stage's task right where the prompt in its request expresses the needed skills."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tracediff.simulate import data
from tracediff.simulate.world import Skill, World, flat

INJUNCTION = "Ignore everything above"
"""Words that this solver obeys, as real models do: whoever lets them into a prompt loses every sample."""
LOST = "I am not sure what to do with this."


class Message(NamedTuple):
    """One message of a request, as text."""

    role: str
    text: str


class Prompt(NamedTuple):
    """A request, read: what it asks for and what it gives."""

    instructions: str
    question: str
    passages: str


_BLOCK = re.compile(r"<(?P<tag>[a-z_]+)>(?P<data>.*?)</(?P=tag)>", re.DOTALL)
_QUESTION_TAGS = frozenset({"question", "input"})


def read(messages: Sequence[Message]) -> Prompt:
    """Return the request's instructions apart from its data.

    Data is what stands between a pair of tags, and a user message without tags that follows a system message. All
    else is instruction.
    """
    instructions: list[str] = []
    question = passages = ""
    has_system = any(message.role in {"system", "developer"} for message in messages)
    for message in messages:
        blocks = list(_BLOCK.finditer(message.text))
        if message.role == "user" and has_system and not blocks:
            question = message.text
            continue
        for block in blocks:
            if block["tag"] in _QUESTION_TAGS:
                question = block["data"]
            else:
                passages += block["data"] + "\n"
        instructions.append(_BLOCK.sub(" ", message.text))
    return Prompt("\n".join(instructions), question, passages)


def solve(world: World, messages: Sequence[Message]) -> str:
    """Return the solver's reply to one request."""
    prompt = read(messages)
    if INJUNCTION.casefold() in flat(prompt.instructions):
        return "As you wish."
    stage = world.stage_of(prompt.instructions)
    if stage == "count":
        return _count(world, prompt)
    if stage == "query":
        return _query(world, prompt)
    if stage == "answer":
        return _answer(world, prompt)
    return LOST


def _notes(faults: Sequence[Skill]) -> str:
    return "".join(f" Note: {skill.symptom}." for skill in faults)


def _is_spoiled(world: World, prompt: Prompt, stage: str) -> bool:
    return world.is_noisy(stage, prompt.question) or world.is_distracted(prompt.instructions, prompt.question)


def _count(world: World, prompt: Prompt) -> str:
    right = data.count(prompt.question)
    if right is None:
        return f"{LOST}\nAnswer: 0"
    faults = world.faults(prompt.instructions, "count", prompt.question)
    if faults or _is_spoiled(world, prompt, "count"):
        right += 1 + int(3 * world.draw("off", prompt.question, *(skill.name for skill in faults)))
    return f"I went through the list.{_notes(faults)}\nAnswer: {right}"


def _query(world: World, prompt: Prompt) -> str:
    asked = data.hops(prompt.question)
    if asked is None:
        return f"{LOST}\nQuery: {' '.join(prompt.question.split())}"
    first, second, entity = asked
    bridge = data.facts_in(prompt.passages).get((first, entity))
    hop, relation, subject = (1, second, bridge) if bridge else (0, first, entity)
    faults = [
        skill
        for skill in world.faults(prompt.instructions, "query", prompt.question)
        if int(2 * world.draw("hop", skill.name, prompt.question)) == hop
    ]
    visible = [skill for skill in faults if skill.nature == "own"]
    silent = [skill for skill in faults if skill.nature == "inputs"]
    if visible or world.is_distracted(prompt.instructions, prompt.question):
        others = [name for name in world.entities if name not in {subject, entity}]
        subject = others[int(len(others) * world.draw("elsewhere", prompt.question, *(s.name for s in visible)))]
    elif silent:
        relation = silent[0].decoy
    return f"One fact is needed next.{_notes(visible)}\nQuery: The {relation} of {subject}"


def _answer(world: World, prompt: Prompt) -> str:
    asked = data.hops(prompt.question)
    if asked is None:
        return f"{LOST}\nAnswer: unknown"
    first, second, entity = asked
    facts = data.facts_in(prompt.passages)
    faults = world.faults(prompt.instructions, "answer", prompt.question)
    bridge = facts.get((first, entity))
    missing = (first, entity) if bridge is None else (second, bridge)
    if bridge is None or missing not in facts:
        return f"I read the passages.{_notes(faults)}{_about_passages(world, facts, missing)}\nAnswer: unknown"
    right = facts[missing]
    if faults or _is_spoiled(world, prompt, "answer"):
        others = [name for name in world.entities if name != right]
        right = others[int(len(others) * world.draw("wrong", prompt.question, *(skill.name for skill in faults)))]
    return f"I read the passages.{_notes(faults)}\nAnswer: {right}"


def _about_passages(world: World, facts: dict[tuple[str, str], str], missing: tuple[str, str]) -> str:
    """Return what a reader of the passages can say: which other fact stands in the place of the missing one."""
    relation, subject = missing
    for skill in world.of_stage("query"):
        if skill.decoy and (skill.decoy, subject) in facts:
            return f" Note: {skill.symptom} (the {skill.decoy} of {subject})."
    return f" Note: {world.gap} (the {relation} of {subject})."
