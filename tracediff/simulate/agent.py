"""The simulated agent: searches one fact after the other and finishes, by calls of tools or in lines of text.

It goes wrong in one of its steps where the prompt lacks a skill, and gives up when a search did not find its fact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tracediff.simulate import data
from tracediff.simulate.solver import (
    INJUNCTION,
    LOST,
    Message,
    about_missing,
    is_spoiled,
    notes,
    read,
    solve,
    wrong_name,
)
from tracediff.simulate.world import Skill, World, flat

STAGE = "act"
_SEARCHING, _FINISHING = re.compile(r"search|retriev|look"), re.compile(r"finish|answer|submit")


class Tool(NamedTuple):
    """A function that the request offers."""

    name: str
    description: str
    argument: str
    """The first one of its schema."""


class ToolCall(NamedTuple):
    """A function that the reply calls."""

    name: str
    arguments: Mapping[str, str]


class Reply(NamedTuple):
    """What the model writes: text, calls of tools, or both."""

    text: str
    calls: tuple[ToolCall, ...] = ()


class _Situation(NamedTuple):
    """What the agent knows at one step."""

    instructions: str
    question: str
    observed: tuple[str, ...]
    """What each search so far has found."""


class _Move(NamedTuple):
    """What the agent does next."""

    thought: str
    search: str = ""
    answer: str = ""


def respond(world: World, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> Reply:
    """Return the solver's reply to one request: an agent's where tools are offered or spoken of."""
    if tools or world.stage_of(read(messages).instructions) == STAGE:
        return act(world, messages, tools)
    return Reply(solve(world, messages))


def act(world: World, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> Reply:
    """Return the agent's next step: calls of ``tools``, or lines of text when there are none."""
    situation = _with_tools(messages, tools) if tools else _in_text(messages)
    if INJUNCTION.casefold() in flat(situation.instructions):
        return Reply("As you wish.")
    asked = data.hops(situation.question)
    searching, finishing = _named(tools, _SEARCHING), _named(tools, _FINISHING)
    if asked is None or (tools and searching is None):
        return Reply(f"{LOST}\nAnswer: unknown")
    move = _move(world, situation, asked)
    if not tools:
        action = f"search[{move.search}]" if move.search else f"finish[{move.answer}]"
        return Reply(f"Thought: {move.thought}\nAction: {action}")
    if move.search and searching is not None:
        return Reply(move.thought, (ToolCall(searching.name, {searching.argument: move.search}),))
    if finishing is not None:
        return Reply(move.thought, (ToolCall(finishing.name, {finishing.argument: move.answer}),))
    return Reply(f"{move.thought}\nAnswer: {move.answer}")


def _named(tools: Sequence[Tool], form: re.Pattern[str]) -> Tool | None:
    return next((tool for tool in tools if form.search(tool.name.casefold())), None)


def _with_tools(messages: Sequence[Message], tools: Sequence[Tool]) -> _Situation:
    """Return the situation of a conversation: its first turns instruct and ask, its tool messages are observations."""
    first = [m for m in messages if m.role in {"system", "developer", "user"}]
    prompt = read(first)
    described = "\n".join(tool.description for tool in tools)
    observed = tuple(message.text for message in messages if message.role == "tool")
    return _Situation(f"{prompt.instructions}\n{described}", prompt.question, observed)


def _in_text(messages: Sequence[Message]) -> _Situation:
    """Return the situation of a request whose earlier steps stand in its data, each with a line ``Observation:``."""
    prompt = read(messages)
    observed = re.split(r"^\s*Observation:", prompt.passages, flags=re.MULTILINE)[1:]
    return _Situation(prompt.instructions, prompt.question, tuple(observed))


def _move(world: World, now: _Situation, asked: tuple[str, str, str]) -> _Move:
    """Return the next move: a search for each fact of the question in turn, and the answer."""
    first, second, entity = asked
    facts = data.facts_in("\n".join(now.observed))
    bridge = facts.get((first, entity))
    if bridge is None:
        step, relation, subject = 0, first, entity
    else:
        step, relation, subject = 1, second, bridge
    right = facts.get((relation, subject)) if step else None
    if right is not None:
        faults = [skill for skill in _faults(world, now, 2) if skill.nature == "own"]
        if faults or is_spoiled(world, now.instructions, now.question, STAGE):
            right = wrong_name(world, right, now.question, faults)
        return _Move(f"Both facts are there.{notes(faults)}", answer=right)
    if len(now.observed) > step:
        gap = about_missing(world, STAGE, facts, (relation, subject))
        return _Move(f"No further search will help.{gap}", answer="unknown")
    faults = list(_faults(world, now, step))
    visible = [skill for skill in faults if skill.nature == "own"]
    silent = [skill for skill in faults if skill.nature == "inputs"]
    if visible:
        others = [name for name in world.entities if name not in {subject, entity}]
        subject = others[int(len(others) * world.draw("elsewhere", now.question, *(s.name for s in visible)))]
    elif silent:
        relation = silent[0].decoy
    return _Move(f"One fact is needed next.{notes(visible)}", search=f"The {relation} of {subject}")


def _faults(world: World, now: _Situation, step: int) -> Iterator[Skill]:
    """Yield the faults that show at this step: of searches (0 and 1) or of the end (2)."""
    for skill in world.faults(now.instructions, STAGE, now.question):
        steps = 3 if skill.nature == "own" else 2
        if int(steps * world.draw("step", skill.name, now.question)) == step:
            yield skill
