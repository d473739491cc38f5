"""A world: the skills of each stage, their symptoms and the wordings of advice, all drawn from a seed."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tracediff.simulate import data, words

Nature: TypeAlias = Literal["own", "inputs"]

STAGES: dict[str, tuple[Nature, ...]] = {
    # stage: nature of each skill's symptom
    "query": ("own",) * 3 + ("inputs",) * 3,
    "count": ("own",) * 6,
    "answer": ("own",) * 4,
}
LATER_STAGES: dict[str, tuple[Nature, ...]] = {
    # drawn after everything else, so that worlds without them are as before
    "classify": ("own",) * 6,
    "act": ("own",) * 4 + ("inputs",) * 2,
}
CUES: dict[str, re.Pattern[str]] = {
    # stage: the cue by which an instruction is recognised; the first match counts
    "act": re.compile(r"\btools?\b"),
    "classify": re.compile(r"\bclassif(y|ies)\b"),
    "query": re.compile(r"\bsearch quer(y|ies)\b"),
    "count": re.compile(r"\bcount\b"),
    "answer": re.compile(r"\banswer\b"),
}
_SINGLE_STAGES = frozenset({"count", "classify"})
"""Stages that are a program by themselves: it needs more of each skill."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How good, how noisy and how slow the simulated models are. Rates are in [0, 1]."""

    latency_s: float = 0.0
    error_rate: float = 0.0
    """Share of attempts that get status 500; a request always gets the same number of them before its reply."""
    solver_noise: float = 0.04
    """Share of samples that stay wrong with every skill on."""
    distraction: float = 0.04
    """Share of samples that each useless piece of advice in a prompt spoils, without a symptom."""
    critic_miss: float = 0.1
    critic_attention: int = 3
    """How many symptoms the critic can name of one request."""
    critic_noise: float = 0.1
    """Share of requests in which the critic adds useless advice."""
    critic_malformed: float = 0.0
    useless: float = 0.15
    """Share of proposals that add filler only."""
    harmful: float = 0.1
    """Share of proposals that drop an advice line, where the text has one."""
    malformed: float = 0.0
    hostile: float = 0.0
    dropping: float = 0.0
    """Share of proposals that lose a variable (or, where there is none, invent one)."""
    guess: float = 0.0
    """Chance that the optimizer knows the advice for a symptom that it reads in a raw example: advice that stands
    nowhere in its request. 0 is strict; above, the optimizer guesses, as a model with knowledge of its own would."""


@dataclass(frozen=True, slots=True)
class Skill:
    """Something that a stage does right only if its prompt says so."""

    name: str
    stage: str
    nature: Nature
    """``own``: its symptom stands in the stage's own output. ``inputs``: only downstream, about the inputs there."""
    wordings: tuple[str, ...]
    """Advice; any one of them in the prompt turns the skill on."""
    symptom: str
    share: float
    """Share of samples that need it."""
    decoy: str = ""
    """Of a skill without an own symptom: the relation that the stage asks for by mistake."""


def flat(text: str) -> str:
    """Return ``text`` in lower case with single spaces: how wordings are compared."""
    return " ".join(text.casefold().split())


class World:
    """Everything that the simulated models know, drawn from ``seed``; equal seeds are equal worlds."""

    def __init__(self, seed: int, settings: Settings | None = None) -> None:
        self.seed = seed
        self.settings = settings or Settings()
        self.entities = data.entities(seed)
        draw = random.Random(f"world/{seed}")
        topics = _topics(draw)
        skills = tuple(self._draw_skills(draw, topics, STAGES))
        self.gap = draw.choice(words.SYMPTOM_FORMS).format(
            topic=next(topics), participle=draw.choice(words.PARTICIPLES), adverb=draw.choice(words.ADVERBS)
        )
        """Symptom, about the inputs, of a fact that is missing there for any reason."""
        self.noise = tuple(_advice(draw, next(topics))[0] for _ in range(12))
        """Useless advice, which looks like any other."""
        self.skills = (*skills, *self._draw_skills(draw, topics, LATER_STAGES))
        self._flat = {wording: flat(wording) for skill in self.skills for wording in skill.wordings}
        self._flat |= {wording: flat(wording) for wording in self.noise}

    def _draw_skills(
        self, draw: random.Random, topics: Iterator[str], stages: Mapping[str, tuple[Nature, ...]]
    ) -> Iterator[Skill]:
        decoys = iter(data.relations(self.seed)[1])
        for stage, natures in stages.items():
            for number, nature in enumerate(natures):
                topic = next(topics)
                symptom = draw.choice(words.SYMPTOM_FORMS).format(
                    topic=topic, participle=draw.choice(words.PARTICIPLES), adverb=draw.choice(words.ADVERBS)
                )
                yield Skill(
                    name=f"{stage}-{number}",
                    stage=stage,
                    nature=nature,
                    wordings=_advice(draw, topic),
                    symptom=symptom,
                    # Some are rare: found late or never, and worth little.
                    share=draw.uniform(0.08, 0.34 if stage in _SINGLE_STAGES else 0.22),
                    decoy=next(decoys) if nature == "inputs" else "",
                )

    def draw(self, *parts: str) -> float:
        """Return a number in [0, 1) that depends on the seed and ``parts`` only."""
        digest = hashlib.sha256("\x1f".join((str(self.seed), *parts)).encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:7], "big") / (1 << 56)

    def random(self, *parts: str) -> random.Random:
        """Return a generator seeded by the seed and ``parts`` only."""
        return random.Random(f"{self.seed}/{self.draw(*parts)}")

    def stage_of(self, instructions: str) -> str | None:
        """Return the stage that these instructions ask for, None when they ask for nothing known."""
        text = flat(instructions)
        return next((stage for stage, cue in CUES.items() if cue.search(text)), None)

    def of_stage(self, stage: str) -> tuple[Skill, ...]:
        """Return the skills of one stage."""
        return tuple(skill for skill in self.skills if skill.stage == stage)

    def expressed(self, instructions: str, stage: str) -> tuple[Skill, ...]:
        """Return the skills of ``stage`` that these instructions turn on."""
        text = flat(instructions)
        return tuple(s for s in self.of_stage(stage) if any(self._flat[wording] in text for wording in s.wordings))

    def faults(self, instructions: str, stage: str, question: str) -> tuple[Skill, ...]:
        """Return the skills that this sample needs and these instructions lack."""
        on = self.expressed(instructions, stage)
        return tuple(s for s in self.of_stage(stage) if s not in on and self.needs(s, question))

    def needs(self, skill: Skill, question: str) -> bool:
        """Whether the sample with this question needs ``skill``."""
        return self.draw("need", skill.name, flat(question)) < skill.share

    def is_noisy(self, stage: str, question: str) -> bool:
        """Whether this sample stays wrong whatever the prompts say."""
        return self.draw("noise", stage, flat(question)) < self.settings.solver_noise

    def is_distracted(self, instructions: str, question: str) -> bool:
        """Whether useless advice in the prompt spoils this sample."""
        useless = [wording for wording in self.advice_in(instructions) if self.skill_of(wording) is None]
        return any(self.draw("distraction", w, flat(question)) < self.settings.distraction for w in useless)

    def symptoms_in(self, text: str) -> tuple[Skill, ...]:
        """Return the skills whose symptom stands in ``text``."""
        found = flat(text)
        return tuple(skill for skill in self.skills if flat(skill.symptom) in found)

    def advice_in(self, text: str) -> tuple[str, ...]:
        """Return every advice, useful or not, that stands in ``text``, in order of appearance."""
        found = flat(text)
        return tuple(sorted((w for w, f in self._flat.items() if f in found), key=lambda w: found.index(self._flat[w])))

    def skill_of(self, wording: str) -> Skill | None:
        """Return the skill that ``wording`` turns on; None for noise."""
        return next((skill for skill in self.skills if wording in skill.wordings), None)

    def with_all_skills(self, instructions: str) -> str:
        """Return ``instructions`` with every skill of their stage expressed: for the best possible figure only."""
        stage = self.stage_of(instructions)
        lines = [skill.wordings[0] for skill in self.of_stage(stage)] if stage else []
        return add_lines(instructions, lines)


def add_lines(text: str, lines: list[str]) -> str:
    """Return ``text`` with ``lines`` after its instructions, that is before the first line with a tag or a variable."""
    old = text.splitlines()
    at = next((i for i, line in enumerate(old) if re.search(r"<\w+>|\{\w+\}", line)), len(old))
    return "\n".join([*old[:at], *(line[0].upper() + line[1:] + "." for line in lines), *old[at:]])


def _topics(draw: random.Random) -> Iterator[str]:
    """Yield different pairs of adjective and noun; no noun comes twice."""
    yield from (f"{draw.choice(words.ADJECTIVES)} {noun}" for noun in draw.sample(words.NOUNS, len(words.NOUNS)))


def _advice(draw: random.Random, topic: str) -> tuple[str, ...]:
    """Return three wordings of one piece of advice."""
    return tuple(
        form.format(
            topic=topic, verb=draw.choice(words.VERBS), gerund=draw.choice(words.GERUNDS), noun=draw.choice(words.NOUNS)
        )
        for form in draw.sample(words.ADVICE_FORMS, 3)
    )
