"""Discovered prompts in models of other vendors: replaced where LlamaIndex hands the messages to the model.

A model that calls through a patched client is left alone: its prompts are replaced in the client's request.
Descriptions of tools reach such a model another way and are not replaced.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tracediff.capture import outgoing
from tracediff.capture.faults import faults
from tracediff.capture.instrument import is_instrumented

_CLIENTS = ("openai", "anthropic")
_METHODS = tuple(f"{way}{what}" for what in ("chat", "complete") for way in ("", "a", "stream_", "astream_"))
_is_inside: ContextVar[bool] = ContextVar("tracediff_llama_index_model", default=False)
"""A model's method runs in another: what was replaced once is not looked at again."""


def is_of_client(model: Any) -> bool:
    """Tell whether a model's calls presumably go through the openai or anthropic client."""
    return any(_uses(model, client) for client in _CLIENTS)


def _uses(model: Any, client: str) -> bool:
    if any(base.__module__.startswith(f"llama_index.llms.{client}") for base in type(model).__mro__):
        return True
    held = [*vars(model).values(), *(getattr(model, "__pydantic_private__", None) or {}).values()]
    return any(type(value).__module__.partition(".")[0] == client for value in held)


class Models:
    """The classes of models whose methods are watched."""

    def __init__(self, base: type) -> None:
        self._base = base
        self._original: dict[tuple[type, str], Any] = {}
        self._ours: dict[tuple[type, str], Any] = {}

    def watch(self) -> None:
        """Watch every class of models that there is. Later ones are told to ``add``."""
        waiting = [self._base]
        while waiting:
            kind = waiting.pop()
            waiting += kind.__subclasses__()
            self.add(kind)

    def add(self, kind: type) -> None:
        """Watch the methods that a class has of its own; the clients' own classes are left as they are."""
        if kind.__module__.startswith(tuple(f"llama_index.llms.{client}" for client in _CLIENTS)):
            return
        for name in _METHODS:
            original = vars(kind).get(name)
            if original is None or getattr(original, "__isabstractmethod__", False) or (kind, name) in self._ours:
                continue
            replaced = _watched(original)
            type.__setattr__(kind, name, replaced)
            self._original[kind, name], self._ours[kind, name] = original, replaced

    def undo(self) -> None:
        """Restore every method."""
        for (kind, name), original in self._original.items():
            if vars(kind).get(name) is self._ours[kind, name]:  # else another tool's lies on it, and goes through
                type.__setattr__(kind, name, original)
        self._original.clear()


def _watched(original: Any) -> Any:
    """Return a method that shows what it is asked to those who watch requests."""
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def replaced_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not outgoing.is_watched() or _is_inside.get():
                return await original.__get__(self)(*args, **kwargs)
            args, kwargs = _shown(self, args, kwargs)
            with _inside():
                return await original.__get__(self)(*args, **kwargs)

        return replaced_async

    @functools.wraps(original)
    def replaced(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not outgoing.is_watched() or _is_inside.get():
            return original.__get__(self)(*args, **kwargs)
        args, kwargs = _shown(self, args, kwargs)
        with _inside():
            return original.__get__(self)(*args, **kwargs)

    return replaced


@contextmanager
def _inside() -> Iterator[None]:
    token = _is_inside.set(True)
    try:
        yield
    finally:
        _is_inside.reset(token)


def _shown(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what the model is asked: the very arguments, or copies with other texts."""
    try:
        if any(is_instrumented(client) and _uses(model, client) for client in _CLIENTS):
            return args, kwargs
        where = "messages" if "messages" in kwargs else "prompt" if "prompt" in kwargs else None
        given = kwargs[where] if where else args[0]
        made = _replaced(model, given)
        if made is given:
            return args, kwargs
        return (args, {**kwargs, where: made}) if where else ((made, *args[1:]), kwargs)
    except Exception as fault:
        faults.note("showing the messages of a model", fault)
        return args, kwargs


def _replaced(model: Any, given: Any) -> Any:
    """Return the messages or the prompt to send."""
    named = {"model": str(getattr(model, "model", None) or getattr(model, "model_name", None) or "")}
    if isinstance(given, str):
        made = outgoing.offered("completions", {**named, "prompt": given})
        return given if made is None else made["prompt"]
    body = [
        {"role": str(getattr(message.role, "value", message.role)), "content": _parts(message)} for message in given
    ]
    made = outgoing.offered("chat", {**named, "messages": body})
    if made is None:
        return given
    changed = [
        message if new["content"] == old["content"] else _with(message, new["content"])
        for message, old, new in zip(given, body, made["messages"], strict=True)
    ]
    return given if all(new is old for new, old in zip(changed, given, strict=True)) else changed


def _parts(message: Any) -> Any:
    """Return the texts of a message as a client would send them: one text, or a list of parts."""
    texts = [block.text for block in message.blocks if getattr(block, "block_type", "") == "text"]
    return texts[0] if len(texts) == 1 == len(message.blocks) else [{"type": "text", "text": text} for text in texts]


def _with(message: Any, content: Any) -> Any:
    """Return a copy of a message with other texts."""
    texts = iter([content] if isinstance(content, str) else [part["text"] for part in content])
    blocks = [
        block.model_copy(update={"text": next(texts)}) if getattr(block, "block_type", "") == "text" else block
        for block in message.blocks
    ]
    return message.model_copy(update={"blocks": blocks})
