"""What engines over different providers do differently: the client, one request, one reply."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any, Literal, TypeAlias

from tracediff.engine.patience import Fault
from tracediff.engine.protocol import EngineReply, EngineRequest

Form: TypeAlias = Literal["format", "tool", "free"]
"""How a schema is enforced: by the response's format, by a tool that must be called, not at all."""
MAX_TOKENS = 8_192
"""Cap of a reply where the provider demands one: what models of the last years can write at most, or more."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One provider's way of asking."""

    package: str
    client_class: str
    base_error: str
    """Name of the client's exception that all others derive from."""
    key_variable: str
    address_variable: str
    forms: Callable[[Any], tuple[Form, ...]]
    """Return how replies to a schema may be enforced, the best way first."""
    send: Callable[[Any, EngineRequest, Form, Mapping[str, Any]], Any]
    """Send one request with these settings (model, temperature, max_tokens) by this client; return its answer."""
    read: Callable[[Any], EngineReply | Fault]
    """Return the reply in a parsed answer, or a fault for a body that is none (a page, an error object)."""

    def errors(self) -> ModuleType:
        """Return the module of the client's exceptions."""
        return importlib.import_module(self.package)

    def open(self, timeout_s: float) -> Any:
        """Return a client; ModuleNotFoundError where its package is not installed."""
        made = getattr(self.errors(), self.client_class)
        # Retries are the engine's: a client would repeat an exhausted quota and can't see a broken page at status 200.
        settings: dict[str, Any] = {"timeout": timeout_s, "max_retries": 0}
        if "open_telemetry" in inspect.signature(made).parameters:
            settings["open_telemetry"] = False  # an engine's call is no part of the program, nor of its trace
        return made(**settings)


def _not_json(answer: Any) -> Fault:
    said = getattr(answer, "error", None)
    if isinstance(answer, str):
        return Fault(f"status 200 with a body that is no JSON ({answer[:80]!r})")
    return Fault("status 200 without an answer in it" + (f" ({said})" if said else ""))


# OpenAI's chat completions


def _openai_send(client: Any, request: EngineRequest, form: Form, settings: Mapping[str, Any]) -> Any:
    messages = [{"role": "system", "content": request.system}] if request.system else []
    arguments: dict[str, Any] = {**settings, "messages": [*messages, {"role": "user", "content": request.user}]}
    if "max_tokens" in arguments:
        arguments["max_completion_tokens"] = arguments.pop("max_tokens")
    if form == "format":
        schema = json.loads(request.schema)
        wanted = {"name": request.schema_name or "reply", "schema": schema, "strict": is_strict(schema)}
        arguments["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return client.chat.completions.create(**arguments)


def _openai_read(answer: Any) -> EngineReply | Fault:
    choices = getattr(answer, "choices", None) or [None]
    message = getattr(choices[0], "message", None)
    if message is None:
        return _not_json(answer)
    usage = answer.usage
    return EngineReply(
        text=message.content or "",
        input_tokens=getattr(usage, "prompt_tokens", 0) or 0,
        output_tokens=getattr(usage, "completion_tokens", 0) or 0,
        finish_reason=choices[0].finish_reason or "unknown",
        model=answer.model or "",
    )


# Anthropic's messages

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
}


def _anthropic_send(client: Any, request: EngineRequest, form: Form, settings: Mapping[str, Any]) -> Any:
    messages = [{"role": "user", "content": request.user}]
    arguments: dict[str, Any] = {"max_tokens": MAX_TOKENS, **settings, "messages": messages}
    if request.system:
        arguments["system"] = request.system
    if form == "format":
        wanted = {"type": "json_schema", "schema": json.loads(request.schema)}
        arguments["extra_body"] = {"output_config": {"format": wanted}}  # not an argument in every 2.x
    elif form == "tool":
        name = request.schema_name or "reply"
        tool = {"name": name, "description": "Give the answer.", "input_schema": json.loads(request.schema)}
        arguments |= {"tools": [tool], "tool_choice": {"type": "tool", "name": name}}
    return client.messages.create(**arguments)


def _anthropic_read(answer: Any) -> EngineReply | Fault:
    blocks = getattr(answer, "content", None)
    if not isinstance(blocks, list):
        return _not_json(answer)
    called = next((block for block in blocks if block.type == "tool_use"), None)
    text = "".join(block.text for block in blocks if block.type == "text")
    usage = answer.usage
    counts = (
        getattr(usage, name, 0) or 0
        for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    reason = answer.stop_reason or "unknown"
    return EngineReply(
        text=text if called is None else json.dumps(called.input, ensure_ascii=False),
        input_tokens=sum(counts),
        output_tokens=getattr(usage, "output_tokens", 0) or 0,
        finish_reason=_REASONS.get(reason, reason),
        model=answer.model or "",
    )


def is_strict(schema: Any) -> bool:
    """Tell whether each object of a schema closes its properties and requires all of them, as strict mode demands."""
    if isinstance(schema, list):
        return all(is_strict(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object":
        names = set(schema.get("properties", ()))
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != names:
            return False
    return all(is_strict(part) for part in schema.values())


DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "openai": Dialect(
            package="openai",
            client_class="OpenAI",
            base_error="OpenAIError",
            key_variable="OPENAI_API_KEY",
            address_variable="OPENAI_BASE_URL",
            forms=lambda _: ("format", "free"),
            send=_openai_send,
            read=_openai_read,
        ),
        "anthropic": Dialect(
            package="anthropic",
            client_class="Anthropic",
            base_error="AnthropicError",
            key_variable="ANTHROPIC_API_KEY",
            address_variable="ANTHROPIC_BASE_URL",
            # Its format takes closed objects only; a tool takes any schema.
            forms=lambda schema: ("format", "tool", "free") if is_strict(schema) else ("tool", "free"),
            send=_anthropic_send,
            read=_anthropic_read,
        ),
    }
)
"""Provider in an engine's name -> its dialect."""
