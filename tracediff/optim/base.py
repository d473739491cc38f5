"""The seam between the trainer and an optimizer: ``init / propose / observe`` with frozen state, as in optax.

State lives outside of the optimizer, is a frozen dataclass of JSON-able fields, and is the only memory: a checkpoint
is (candidate, state, step, random state).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, TypeVar

from tracediff.autodiff.gradients import Gradient
from tracediff.engine import Engine
from tracediff.parameters import Parameter

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Proposal:
    """One new text for one parameter, or why there is none. A model's bad answer is this, never an exception."""

    parameter: str
    text: str
    """The proposed text; may be empty or refused when there are ``problems``."""
    method: str = ""
    reasoning: str = ""
    problems: tuple[str, ...] = ()
    """Why it may not be used; no forward call is paid for it."""
    calls: int = 1
    """Engine calls that it took, re-asks included."""

    @property
    def is_usable(self) -> bool:
        """It passed every check and may be tried."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Failure:
    """A proposal that was tried or refused, kept for the next requests of its parameter."""

    parameter: str
    text: str
    method: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate that was validated, with its score on the validation samples."""

    score: float
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Example:
    """One raw run, which stands in for gradients when these are switched off (the paper's ablation, section 4.3)."""

    sample_id: str
    score: float
    inputs: str
    output: str
    expected: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the optimizer may look at in one step."""

    parameters: Mapping[str, Parameter]
    """Every parameter of the program with the incumbent's text; also those that are not trainable."""
    targets: tuple[str, ...]
    """Those to propose for, in order: trainable and with something to go by."""
    gradients: Mapping[str, Sequence[Gradient]] = field(default_factory=dict)
    """Parameter name -> its gradients, in (sample, call index) order."""
    examples: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    """Parameter name -> raw runs; used when there are no gradients."""
    peers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Parameter name -> the parameters that feed the same LLM node."""

    def joined(self, newer: Evidence) -> Evidence:
        """Return this with what ``newer`` samples add, these first: they are what was not tried yet."""
        parameters = {**self.parameters, **newer.parameters}
        return Evidence(
            parameters,
            tuple(name for name in parameters if name in self.targets or name in newer.targets),
            _joined(newer.gradients, self.gradients),
            _joined(newer.examples, self.examples),
            {name: tuple(dict.fromkeys(found)) for name, found in _joined(self.peers, newer.peers).items()},
        )


def _joined(first: Mapping[str, Sequence[T]], second: Mapping[str, Sequence[T]]) -> dict[str, tuple[T, ...]]:
    return {name: (*first.get(name, ()), *second.get(name, ())) for name in {**first, **second}}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one round of proposals."""

    proposals: tuple[Proposal, ...]
    accepted: bool
    reason: str
    score: float | None = None
    """Validation score of the joined candidate, when it was validated whole."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """The joined candidate's texts."""
    ends_step: bool = False
    """The step is over: this one was accepted, or it was the last of the step."""


Asker: TypeAlias = Callable[[Sequence[Callable[[], Proposal]]], Sequence[Proposal]]
"""Runs independent requests at the same time and returns their results in the order given."""


class Optimizer(Protocol[S]):
    """A named way to turn evidence into proposals. It holds options only; what it learns is in ``S``."""

    @property
    def template_hash(self) -> str:
        """Hash of its meta-prompts: changing one changes the algorithm."""
        ...

    def init(self, texts: Mapping[str, str], score: float) -> S:
        """Return the state before the first step, from the start texts and their validation score."""
        ...

    def propose(self, state: S, evidence: Evidence, engine: Engine, run: Asker) -> tuple[Proposal, ...]:
        """Return one proposal per target, in order; all requests go out at the same time through ``run``."""
        ...

    def observe(self, state: S, outcome: Outcome) -> S:
        """Return the state after a round."""
        ...
