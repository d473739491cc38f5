"""Replies: a model's answer read tolerantly, asked for again when it can't be used, never an exception.

Used by the backward pass and by the optimizers::

    answer = ask(engine, request, lambda text: read_object(text, ("method", "text")), retries=2)
    if isinstance(answer.value, Malformed):
        ...  # data: answer.value.reason says what was wrong; answer.calls were paid
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from tracediff.autodiff.payload import encodable
from tracediff.autodiff.templates import bundled
from tracediff.capture.context import suppressed
from tracediff.engine import Engine, EngineReply, EngineRequest
from tracediff.errors import UsageError

T = TypeVar("T")

_DECODER = json.JSONDecoder(strict=False)  # raw line breaks inside strings are what models write
_MAX_STARTS = 2_000
_CORRECTION = bundled("correction")


@dataclass(frozen=True, slots=True)
class Malformed:
    """An answer that can't be used, and why, in words that can be shown to the model."""

    reason: str


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What an engine's answers came to."""

    value: T | Malformed
    calls: int
    """Engine calls made, re-asks included."""
    replies: tuple[EngineReply, ...] = ()
    """Every reply, in order."""


def read_object(text: str, required: Collection[str] = ()) -> dict[str, Any] | Malformed:
    """Return the JSON object that a reply holds: the whole of it, in a fence, or within prose.

    Of several with all ``required`` keys the last one counts (models think first). Text is never cut at a tag, a
    fence or a brace: an object is what a JSON decoder reads from its first brace to its own end.

    >>> read_object('Sure: {"text": "use {braces} and ``` freely"} Done.', ["text"])
    {'text': 'use {braces} and ``` freely'}
    """
    if not text.strip():
        return Malformed("the reply is empty")
    found = list(_objects(text))
    whole = [item for item in found if all(key in item for key in required)]
    if whole:
        return whole[-1]
    if found:
        lost = next(key for key in required if key not in found[-1])
        return Malformed(f"the JSON object has no key {json.dumps(lost)}")
    return Malformed("the reply holds no complete JSON object")


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the outermost JSON objects of a text, in order."""
    position = 0
    for _ in range(_MAX_STARTS):
        position = text.find("{", position)
        if position < 0:
            return
        try:
            item, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            position += 1
        else:
            yield _without_surrogates(item) if "\\u" in text else item


def _without_surrogates(value: Any) -> Any:
    r"""Return a decoded value with lone surrogates replaced (``\ud800`` in a reply): no client could send them on."""
    match value:
        case str():
            return encodable(value)
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {encodable(key): _without_surrogates(item) for key, item in value.items()}
        case _:
            return value


def ask(
    engine: Engine, request: EngineRequest, reader: Callable[[str], T | Malformed], *, retries: int = 2
) -> Answer[T]:
    """Return what ``reader`` makes of the engine's answer, asking up to ``retries`` times again with the error.

    The engine runs suppressed: nothing that it does is recorded or replaced by our own patches. Whatever it raises
    passes through; UsageError when it returns anything but an EngineReply.
    """
    replies: list[EngineReply] = []
    asked = request
    while True:
        with suppressed():
            reply = engine(asked)
        if not isinstance(reply, EngineReply):
            raise UsageError(
                f"an engine returns tracediff.engine.EngineReply(text), and {engine!r} returned {type(reply).__name__}"
            )
        replies.append(reply)
        value = reader(reply.text)
        if not isinstance(value, Malformed):
            return Answer(value, len(replies), tuple(replies))
        if reply.finish_reason == "length":
            value = Malformed(f"{value.reason}; it was cut at the length limit: be brief")
        if len(replies) > retries:
            return Answer(value, len(replies), tuple(replies))
        correction = _CORRECTION.render(reason=value.reason).user
        asked = replace(request, user=f"{request.user}\n\n{correction}", attempt=len(replies))
