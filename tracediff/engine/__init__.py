"""The LLM that the backward pass and the optimizers talk to."""

from __future__ import annotations

from tracediff.engine.connecting import connect
from tracediff.engine.protocol import Engine, EngineReply, EngineRequest, Purpose

__all__ = ["Engine", "EngineReply", "EngineRequest", "Purpose", "connect"]
