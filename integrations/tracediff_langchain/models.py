"""Discovered prompts in models of other vendors: replaced where LangChain hands the messages to the model.

A model that calls through a patched client is left alone: its prompts are replaced in the client's request.
Descriptions of tools reach such a model another way and are not replaced.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from tracediff.capture import outgoing
from tracediff.capture.faults import faults
from tracediff.capture.instrument import is_instrumented

_CLIENTS = ("openai", "anthropic")
_ROLES = {"human": "user", "ai": "assistant"}


def is_of_client(model: Any) -> bool:
    """Tell whether a model's calls go through a client that is patched."""
    return any(is_instrumented(client) and _uses(model, client) for client in _CLIENTS)


def _uses(model: Any, client: str) -> bool:
    if any(base.__module__.partition(".")[0] == f"langchain_{client}" for base in type(model).__mro__):
        return True
    held = getattr(model, "__dict__", {}).values()
    return any(type(value).__module__.partition(".")[0] == client for value in held)


def watch_models(owner: Any) -> Callable[[], None]:
    """Show the messages of other vendors' models to those who watch requests; return what restores the class."""
    original = vars(owner)["_convert_input"]

    @functools.wraps(original)
    def replaced(self: Any, *args: Any, **kwargs: Any) -> Any:
        prompt = original(self, *args, **kwargs)
        if outgoing.is_watched():
            try:
                if not is_of_client(self):
                    return _shown(self, prompt)
            except Exception as fault:
                faults.note("showing the messages of a model", fault)
        return prompt

    owner._convert_input = replaced

    def undo() -> None:
        if vars(owner).get("_convert_input") is replaced:
            owner._convert_input = original

    return undo


def _shown(model: Any, prompt: Any) -> Any:
    """Return what the model gets: the very object, or a copy with other texts."""
    named = {"model": str(getattr(model, "model_name", None) or getattr(model, "model", None) or "")}
    is_chat = hasattr(model, "_generate_with_cache")
    if not is_chat:
        text = prompt.to_string()
        made = outgoing.offered("completions", {**named, "prompt": text})
        return prompt if made is None or made["prompt"] == text else _text(made["prompt"])
    messages = prompt.to_messages()
    body = [{"role": _ROLES.get(message.type, message.type), "content": message.content} for message in messages]
    made = outgoing.offered("chat", {**named, "messages": body})
    if made is None:
        return prompt
    changed = [
        message if new["content"] is old["content"] else message.model_copy(update={"content": new["content"]})
        for message, old, new in zip(messages, body, made["messages"], strict=True)
    ]
    if all(new is old for new, old in zip(changed, messages, strict=True)):
        return prompt
    return importlib.import_module("langchain_core.prompt_values").ChatPromptValue(messages=changed)


def _text(text: str) -> Any:
    return importlib.import_module("langchain_core.prompt_values").StringPromptValue(text=text)
