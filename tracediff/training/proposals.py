"""Proposals of any optimizer, checked before a forward call is paid: what a model wrote becomes no prompt unchecked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tracediff.errors import UsageError
from tracediff.optim.base import Proposal
from tracediff.parameters import Parameter, violations


def checked(proposals: object, parameters: Mapping[str, Parameter]) -> tuple[Proposal, ...]:
    """Return the proposals in order, each with what is wrong with it as a text of ``parameters`` (by name).

    Raises UsageError when the optimizer returned anything else than proposals.
    """
    if not isinstance(proposals, Iterable):
        raise UsageError(f"the optimizer proposed {type(proposals).__name__}, not a sequence of Proposal")
    found: list[Proposal] = []
    for proposal in proposals:
        if not isinstance(proposal, Proposal):
            raise UsageError(f"the optimizer proposed {type(proposal).__name__}, not a tracediff.optim.Proposal")
        problems = proposal.problems or tuple(_problems(proposal, parameters))
        text: object = proposal.text
        found.append(replace(proposal, text=text if isinstance(text, str) else "", problems=problems))
    return tuple(found)


def _problems(proposal: Proposal, parameters: Mapping[str, Parameter]) -> list[str]:
    parameter = parameters.get(proposal.parameter)
    if parameter is None or not parameter.trainable:
        names = ", ".join(name for name, item in parameters.items() if item.trainable)
        return [f"no trainable prompt is named {proposal.parameter!r}; there is: {names}"]
    return violations(parameter, proposal.text)
