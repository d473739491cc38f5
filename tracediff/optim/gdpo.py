"""GDPO: prompts proposed from gradients, with a history of the best and the failed (LLM-AutoDiff, section 3.5)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tracediff.autodiff.gradients import Gradient
from tracediff.autodiff.payload import clip, escape
from tracediff.autodiff.replies import Malformed, ask, read_object
from tracediff.autodiff.templates import PromptTemplate
from tracediff.engine import Engine, EngineReply, EngineRequest
from tracediff.errors import EngineUnavailable
from tracediff.optim.base import Asker, Evidence, Example, Failure, Outcome, Proposal, Tried
from tracediff.parameters import Parameter, violations

METHODS: Mapping[str, str] = MappingProxyType(
    {
        "extend": "add one instruction that is missing; keep the rest",
        "sharpen": "say an instruction that is there more precisely; add nothing new",
        "trim": "take out what distracts, repeats or contradicts",
        "rearrange": "put the same instructions into another order or into numbered steps",
    }
)
"""Edit method -> what it does, as shown to the optimizer model."""

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "method": {"type": "string", "enum": list(METHODS)},
            "reasoning": {"type": "string"},
            "text": {"type": "string"},
        },
        "required": ["method", "reasoning", "text"],
        "additionalProperties": False,
    },
    sort_keys=True,
)

_OPENING = re.compile(r"<\s*/?\s*\w+")
_TEMPLATE = PromptTemplate(Path(__file__).with_name("prompts") / "gdpo.jinja")


@dataclass(frozen=True, slots=True)
class GdpoState:
    """What GDPO remembers between rounds."""

    best: tuple[Tried, ...]
    """The best validated candidates, best first; at most ``Gdpo.history``."""
    failures: tuple[Failure, ...] = ()
    """Since the last accepted candidate, in order of time."""
    steps_since_improvement: int = 0


@dataclass(frozen=True, slots=True)
class Gdpo:
    """The optimizer ``gdpo``. Its limits keep every request bounded, however long the feedback is."""

    history: int = 2
    retries: int = 2
    """Times that a proposal which can't be used is asked for again with the error."""
    max_feedbacks: int = 12
    max_feedback_chars: int = 1_200
    max_failures: int = 8
    max_text_chars: int = 6_000
    """Of each other text that is shown: peers, history, failed attempts, raw runs."""
    max_proposal_chars: int = 50_000
    """Of a proposed text whose parameter has no limit of its own."""

    @property
    def template_hash(self) -> str:
        """Hash of the meta-prompt."""
        return _TEMPLATE.hash

    def init(self, texts: Mapping[str, str], score: float) -> GdpoState:
        """Return the state before the first step: the start is the best so far."""
        return GdpoState((Tried(score, dict(texts)),))

    def propose(self, state: GdpoState, evidence: Evidence, engine: Engine, run: Asker) -> tuple[Proposal, ...]:
        """Return one proposal per target; the requests of all targets go out at the same time."""
        return tuple(run([partial(self._one, state, evidence, engine, name) for name in evidence.targets]))

    def observe(self, state: GdpoState, outcome: Outcome) -> GdpoState:
        """Return the state after a round: failures grow until something is accepted, the best are kept."""
        best = state.best
        if outcome.score is not None:
            best = tuple(sorted((*best, Tried(outcome.score, dict(outcome.texts))), key=lambda t: -t.score))
            best = best[: max(self.history, 1)]
        if outcome.accepted:
            return GdpoState(best)
        failed = tuple(
            Failure(p.parameter, p.text, p.method, "; ".join(p.problems) or outcome.reason) for p in outcome.proposals
        )
        steps = state.steps_since_improvement + outcome.ends_step
        return GdpoState(best, state.failures + failed, steps)

    def _one(self, state: GdpoState, evidence: Evidence, engine: Engine, name: str) -> Proposal:
        parameter = evidence.parameters[name]
        replies: list[EngineReply] = []

        limit = self.max_proposal_chars if parameter.max_chars is None else parameter.max_chars

        def keeping(request: EngineRequest) -> EngineReply:
            replies.append(engine(request))
            return replies[-1]

        def usable(text: str) -> dict[str, Any] | Malformed:
            if replies[-1].finish_reason == "length":
                return Malformed("it was cut at the length limit, so the text may not be whole: be brief")
            found = read_object(text, ("text",))
            if isinstance(found, Malformed):
                return found
            if isinstance(found["text"], str):
                found["text"] = _restored(parameter, found["text"])
            problems = violations(replace(parameter, max_chars=limit), found["text"])
            return Malformed("; ".join(problems)) if problems else found

        try:
            answer = ask(keeping, self.request(state, evidence, name), usable, retries=self.retries)
        except EngineUnavailable as error:
            return Proposal(name, "", problems=(f"the engine did not answer: {error}",), calls=len(replies) + 1)
        if isinstance(answer.value, Malformed):
            return self._unusable(parameter, answer.value.reason, replies)
        text: str = answer.value["text"]
        method, reasoning = _said(answer.value, "method"), _said(answer.value, "reasoning")
        problems = ("it changes nothing",) if text.strip() == parameter.text.strip() else ()
        return Proposal(name, text, method, reasoning, problems, answer.calls)

    def _unusable(self, parameter: Parameter, reason: str, replies: Sequence[EngineReply]) -> Proposal:
        """Return the typed failure of a reply that could not be used; its text is kept for the next request only."""
        found = read_object(replies[-1].text, ("text",))
        if isinstance(found, Malformed):
            return Proposal(parameter.name, "", problems=(reason,), calls=len(replies))
        text = found["text"] if isinstance(found["text"], str) else ""
        method, reasoning = _said(found, "method"), _said(found, "reasoning")
        return Proposal(parameter.name, text, method, reasoning, (reason,), len(replies))

    def request(self, state: GdpoState, evidence: Evidence, name: str) -> EngineRequest:
        """Return the bounded request for one parameter."""
        parameter = evidence.parameters[name]
        peers = [p for p in evidence.peers.get(name, ()) if p != name and p in evidence.parameters]
        others = [p for p in evidence.parameters if p != name and p not in peers]
        tried = [
            {"score": _figure(t.score), "text": clip(t.texts[name], self.max_text_chars)}
            for t in state.best
            if t.texts.get(name, parameter.text) != parameter.text
        ]
        failed = [f for f in state.failures if f.parameter == name][-self.max_failures :] if self.max_failures else []
        rendered = _TEMPLATE.render(
            parameter=parameter,
            peers=[self._clipped(evidence.parameters[p]) for p in peers],
            others=[evidence.parameters[p] for p in others],
            gradients=self._feedback(evidence.gradients.get(name, ())),
            examples=self._examples(evidence.examples.get(name, ())),
            tried=tried,
            failed=[
                {"method": f.method, "reason": f.reason[:300], "text": clip(f.text, self.max_text_chars)}
                for f in failed
            ],
            steps=state.steps_since_improvement,
            methods=METHODS,
        )
        return EngineRequest("optimizer", rendered.system, rendered.user, "proposal", SCHEMA)

    def _clipped(self, parameter: Parameter) -> Parameter:
        return replace(parameter, text=clip(parameter.text, self.max_text_chars))

    def _feedback(self, gradients: Iterable[Gradient]) -> list[dict[str, object]]:
        """Return what is shown of the gradients: faults before notes, none twice, each and all of bounded length."""
        shown: dict[str, dict[str, object]] = {}
        for gradient in sorted(gradients, key=lambda g: g.is_note):
            key = " ".join(gradient.feedback.split()).casefold()
            if not key or key in shown:
                continue
            if len(shown) == self.max_feedbacks:
                break
            shown[key] = {
                "sample": gradient.sample_id,
                "t": gradient.index,
                "score": _figure(gradient.score),
                "feedback": clip(gradient.feedback, self.max_feedback_chars),
            }
        return list(shown.values())

    def _examples(self, examples: Iterable[Example]) -> list[dict[str, object]]:
        limit = self.max_text_chars // 3
        return [
            {
                "sample": example.sample_id,
                "score": _figure(example.score),
                "inputs": clip(example.inputs, limit),
                "output": clip(example.output, limit),
                "expected": clip(example.expected, limit),
            }
            for example in list(examples)[: self.max_feedbacks]
        ]


def _restored(parameter: Parameter, text: str) -> str:
    """Return a reply's text with our own tag names unescaped, if the parameter's own text was shown escaped."""
    shown = {escape(opening): opening for opening in _OPENING.findall(parameter.text)}
    for escaped, opening in shown.items():
        text = text.replace(escaped, opening)
    return text


def _said(found: Mapping[str, Any], key: str) -> str:
    """Return a short text of the reply, one line, or nothing."""
    value = found.get(key, "")
    return " ".join(value.split())[:400] if isinstance(value, str) else ""


def _figure(score: float) -> str:
    return f"{score:.4g}"
