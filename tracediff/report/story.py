"""The story of a training run, read from its journal: what failed, what was said, tried and kept."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tracediff.training.journal import Event, read_journal


@dataclass(slots=True)
class Proposal:
    """One new text for one parameter, or why there was none."""

    parameter: str
    text: str
    method: str
    reasoning: str
    problems: list[str]


@dataclass(slots=True)
class Round:
    """Proposals that were joined into one candidate, and what became of it."""

    proposals: list[Proposal] = field(default_factory=list)
    is_accepted: bool = False
    reason: str = ""
    stage: str = ""
    score: float | None = None


@dataclass(slots=True)
class Step:
    """One mini-batch: its samples, the feedback, the rounds."""

    number: int
    samples: list[str] = field(default_factory=list)
    failing: list[str] = field(default_factory=list)
    incumbent: str = ""
    gradients: list[tuple[str, str, int, float, str]] = field(default_factory=list)
    """(parameter, sample, call index, score, feedback), in order."""
    rounds: list[Round] = field(default_factory=list)


@dataclass(slots=True)
class Story:
    """Everything a reader of one training run wants to see."""

    header: Mapping[str, Any]
    start: dict[str, str]
    best: dict[str, str]
    texts: dict[str, dict[str, str]]
    """Candidate hash -> parameter name -> text."""
    steps: list[Step]
    start_score: float | None
    best_score: float | None
    calls: dict[str, int]
    tokens: dict[str, int]
    stop: str
    is_simulated: bool

    @property
    def curve(self) -> list[tuple[int, float]]:
        """(step, validation score of the incumbent), from step 0."""
        points = [] if self.start_score is None else [(0, self.start_score)]
        for step in self.steps:
            points += [(step.number, r.score) for r in step.rounds if r.is_accepted and r.score is not None]
        return points


def of_run(run_dir: str | os.PathLike[str], start: Mapping[str, str], best: Mapping[str, str]) -> Story:
    """Return the story of a run folder. Raises JournalError when there is no journal, or a damaged one."""
    header, events = read_journal(run_dir)
    return tell(header, events, start, best)


def tell(
    header: Mapping[str, Any], events: Iterable[Event], start: Mapping[str, str], best: Mapping[str, str]
) -> Story:
    """Return the story of a journal's events."""
    story = Story(header, dict(start), dict(best), {}, [], None, None, {}, {}, "not finished", is_simulated=False)
    steps: dict[int, Step] = {}
    pending: list[Proposal] = []
    first_scores: dict[str, dict[str, float]] = {}
    for event in events:
        body = event.body
        number = int(body.get("step", 0) or 0)
        if number and number not in steps:
            steps[number] = Step(number)
        match event.kind:
            case "call" | "engine":
                _count(story, str(body.get("purpose", "")), body)
                story.is_simulated |= str(body.get("model", "")).startswith("sim-")
            case "score" if event.sample.startswith("val/"):
                first_scores.setdefault(event.candidate, {})[event.sample] = float(body.get("score") or 0.0)
            case "batch":
                step = steps[number]
                step.samples, step.failing, step.incumbent = body["samples"], body["failing"], event.candidate
            case "gradient":
                feedback = "" if body["is_note"] else str(body["feedback"])
                if feedback:
                    found = (body["parameter"], event.sample, int(body["t"]), float(body["score"]), feedback)
                    steps[number].gradients.append(found)
            case "proposal":
                pending.append(
                    Proposal(body["parameter"], body["text"], body["method"], body["reasoning"], list(body["problems"]))
                )
            case "candidate":
                story.texts[event.candidate] = dict(body["texts"])
            case "decision":
                kept = bool(body["is_accepted"])
                steps[number].rounds.append(Round(pending, kept, body["reason"], body["stage"], body["score"]))
                pending = []
            case "stop":
                story.stop = str(body["message"])
            case _:
                pass
    story.steps = [steps[number] for number in sorted(steps)]
    if first_scores:
        scores = next(iter(first_scores.values())).values()
        story.start_score = sum(scores) / len(scores)
    story.best_score = story.curve[-1][1] if story.curve else None
    return story


def _count(story: Story, purpose: str, body: Mapping[str, Any]) -> None:
    story.calls[purpose] = story.calls.get(purpose, 0) + 1
    used = int(body.get("input_tokens") or 0) + int(body.get("output_tokens") or 0)
    story.tokens[purpose] = story.tokens.get(purpose, 0) + used
