"""What the backward pass and the optimizers ask, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

Purpose: TypeAlias = Literal["backward", "optimizer"]


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One question to an engine. Equal requests are equal values, so they can be keys of a journal."""

    purpose: Purpose
    system: str
    user: str
    schema_name: str = ""
    schema: str = ""
    """JSON schema of the reply, as canonical JSON text; empty for free text."""
    attempt: int = 0
    """0 for the first time, then 1, 2 ... for each re-ask after a malformed reply."""


@dataclass(frozen=True, slots=True)
class EngineReply:
    """What came back, with what it cost (tokens)."""

    text: str
    input_tokens: int = 0
    output_tokens: int = 0
    finish_reason: str = "stop"
    model: str = ""


class Engine(Protocol):
    """Any callable of this shape; called from several threads at once.

    Raises EngineRefused or EngineUnavailable; never returns a reply that was cut in transport.
    """

    def __call__(self, request: EngineRequest) -> EngineReply:
        """Answer one request."""
        ...
