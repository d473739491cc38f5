"""The simulated critic: names symptoms that stand in its request, and gives each to where the request says it belongs.

It never knows which parameter is at fault. It goes by the section in which a symptom stands and by the symptom's
nature, so a wrong edge of the graph leads it to wrong advice, as it would a real one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tracediff.simulate import data
from tracediff.simulate.sections import Section, sections, task_kind
from tracediff.simulate.world import Skill, World, flat

_EVIDENCE = re.compile(r"^[^\n]{0,4}\(the (\w+) of (\w+)\)", re.IGNORECASE)


class Remark(NamedTuple):
    """A symptom that stands in a text, with what is said there about it."""

    symptom: str
    skill: Skill | None
    """None for a fact that is missing, whatever the reason."""
    fact: tuple[str, str] | None
    """(relation, entity) that the text names beside it."""

    @property
    def quote(self) -> str:
        """How the critic passes it on."""
        about = f" (the {self.fact[0]} of {self.fact[1]})" if self.fact else ""
        return f'"{self.symptom}"{about}'


def remarks_in(world: World, text: str) -> tuple[Remark, ...]:
    """Return the symptoms that stand in ``text``."""
    found = " ".join(text.split())
    lowered = found.casefold()
    known: list[tuple[str, Skill | None]] = [(skill.symptom, skill) for skill in world.skills]
    remarks = []
    for symptom, skill in (*known, (world.gap, None)):
        at = lowered.find(flat(symptom))
        if at >= 0:
            named = _EVIDENCE.match(found[at + len(symptom) :].lstrip('".'))
            remarks.append(Remark(symptom, skill, (named[1], named[2].capitalize()) if named else None))
    return tuple(remarks)


def criticise(world: World, request: str) -> str:
    """Return the critic's reply to one request of the backward pass."""
    kind = task_kind(request)
    if world.draw("critic malformed", request) < world.settings.critic_malformed:
        return '{"feedback": {"p1": "I think that'
    if kind == "loss":
        return _reply(_of_loss(world, request), ["output"])
    ids = [section.id for section in sections(request, "parameter", "input") if section.id]
    if kind == "function-node":
        return _reply(_of_function(world, request), ids)
    if kind == "llm-node":
        return _reply(_of_llm(world, request), ids)
    return json.dumps({"feedback": {}, "no_cause": True})


def _reply(said: Mapping[str, Sequence[str]], ids: Sequence[str]) -> str:
    feedback = {name: " ".join(dict.fromkeys(said.get(name, ()))) for name in ids}
    return json.dumps({"feedback": feedback, "no_cause": not any(feedback.values())})


def _noticed(world: World, request: str, remarks: Iterable[Remark]) -> tuple[Remark, ...]:
    """Return the remarks that the critic does not miss: some by chance, and all beyond its attention."""
    distinct = {remark.symptom: remark for remark in remarks}
    seen = [r for r in distinct.values() if world.draw("miss", r.symptom, request) >= world.settings.critic_miss]
    seen.sort(key=lambda r: world.draw("attention", r.symptom, request))
    kept = {r.symptom for r in seen[: world.settings.critic_attention]}
    return tuple(r for r in distinct.values() if r.symptom in kept)


def _of_loss(world: World, request: str) -> dict[str, list[str]]:
    output = " ".join(section.text for section in sections(request, "output"))
    expected = " ".join(section.text for section in sections(request, "expected"))
    said = [f"The output does not give what was expected: {' '.join(expected.split())[:200]}."]
    said += [f"It says {remark.quote}." for remark in _noticed(world, request, remarks_in(world, output))]
    return {"output": said}


def _of_function(world: World, request: str) -> dict[str, list[str]]:
    """Return feedback by input: where the symptom stands itself, else where its fact stands, else to all alike."""
    inputs = [section for section in sections(request, "input") if section.id]
    feedback = " ".join(section.text for section in sections(request, "feedback"))
    said: dict[str, list[str]] = {}
    for remark in _noticed(world, request, remarks_in(world, feedback)):
        for section in _bearing(remark, inputs):
            said.setdefault(section.id, []).append(f"Later it says {remark.quote}; that came in here.")
    return said


def _bearing(remark: Remark, inputs: Sequence[Section]) -> Sequence[Section]:
    """Return the inputs that bear on a remark, as far as their texts show."""
    direct = [s for s in inputs if flat(remark.symptom) in flat(s.text)]
    if direct:
        return direct
    about = [s for s in inputs if remark.fact and remark.fact in data.facts_in(s.text)]
    return about or inputs


def _of_llm(world: World, request: str) -> dict[str, list[str]]:
    parameters = sections(request, "parameter")
    trainable = [p for p in parameters if p.id and p.attributes.get("trainable", "yes") == "yes"]
    inputs = [section for section in sections(request, "input") if section.id]
    stage = world.stage_of("\n".join(p.text for p in parameters))
    output = " ".join(section.text for section in sections(request, "output"))
    feedback = " ".join(section.text for section in sections(request, "feedback"))
    said: dict[str, list[str]] = {}
    for remark in _noticed(world, request, (*remarks_in(world, output), *remarks_in(world, feedback))):
        stands_here = flat(remark.symptom) in flat(output)
        if remark.skill and (remark.skill.nature == "own" if stands_here else remark.skill.stage == stage):
            if trainable:
                chosen = trainable[int(len(trainable) * world.draw("peer", remark.symptom, request))]
                said.setdefault(chosen.id, []).append(_advice(world, request, remark, remark.skill))
        else:
            for section in _bearing(remark, inputs):
                said.setdefault(section.id, []).append(f"It led to {remark.quote}.")
    if trainable and world.draw("noise?", request) < world.settings.critic_noise:
        useless = world.noise[int(len(world.noise) * world.draw("which noise", request))]
        said.setdefault(trainable[0].id, []).append(f"The text could say: {useless}.")
    return said


def _advice(world: World, request: str, remark: Remark, skill: Skill) -> str:
    wording = skill.wordings[int(len(skill.wordings) * world.draw("wording", skill.name, request))]
    return f'The output goes wrong: "{remark.symptom}". The text should say: {wording}.'
