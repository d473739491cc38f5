"""Faults: whose fault an exception of a run is: the program's, the transport's, or one that no waiting mends.

Judged by class name and status, so that no client library is imported. Transport faults are those that a client
library (openai, anthropic, httpx and those built like them) reports, and the builtin ConnectionError. A TimeoutError of
the program's own, ``asyncio.timeout`` for instance, is the program's: its limit is part of what it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from tracediff import attributes as keys
from tracediff.capture.recorder import error_text
from tracediff.capture.records import SpanRecord
from tracediff.errors import EngineError, EngineRefused, EngineUnavailable, TracediffError

Fault: TypeAlias = Literal["", "program", "rejected", "transport", "refused", "usage", "lost"]
"""``program``: scores 0. ``rejected``: the model's server would not take the request (too long, not allowed); the
candidate's text may be why, so it scores 0 too. ``transport`` and ``lost`` (context): excluded. ``refused`` (key,
model, quota) and ``usage`` (raised by tracediff itself): the run must stop. "": none."""

RAISED: frozenset[Fault] = frozenset({"program", "rejected"})
"""The faults that score 0, with the exception's text as feedback."""

_TRANSPORT_NAMES = frozenset(
    {
        "APIConnectionError",
        "APITimeoutError",
        "RateLimitError",
        "InternalServerError",
        "OverloadedError",
        "TransportError",
    }
)
_REFUSED_NAMES = frozenset({"AuthenticationError", "PermissionDeniedError"})
_REJECTED_NAMES = frozenset({"BadRequestError", "UnprocessableEntityError", "RequestTooLargeError"})
_STATUS_NAMES = frozenset({"APIStatusError", "APIError"}) | _TRANSPORT_NAMES | _REFUSED_NAMES | _REJECTED_NAMES
"""Classes whose ``status_code`` is that of a model's server; a retriever's 404 says nothing about the model."""
_TRANSPORT_STATUS = frozenset({408, 409, 425, 429})
_REFUSED_STATUS = frozenset({401, 402, 403, 404})
_REJECTED_STATUS = frozenset({400, 413, 422})
_BROKEN = {
    "truncated": "the stream ended without a finish reason",
    "empty": "the answer was empty, at status 200",
    "not_json": "the answer was a page, no JSON, at status 200",
    "broken_json": "the answer was broken JSON, at status 200",
}
"""``tracediff.fault`` of a call -> what that is; a stream that the program itself abandons is none."""
_NO_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_NO_CREDIT = "credit balance is too low"
"""What Anthropic says with status 400 when the quota is exhausted (seen with anthropic 2.11)."""


def fault_of(error: BaseException) -> Fault:
    """Return whose fault an exception is; the exceptions that it was raised from are looked at too."""
    for item in _causes(error):
        if (found := _fault_of_one(item)) != "program":
            return found
    return "program"


def broken_answer(records: Iterable[SpanRecord]) -> str:
    """Return what was wrong with a model's answer that the program went on with, empty where nothing was.

    A stream that was cut, or a page instead of an answer, says nothing about the prompts. An answer that the program
    asked for again, in the same words and with success, is no fault of the run.
    """
    calls = [record for record in records if record.kind == "llm"]
    for number, record in enumerate(calls):
        broken = _BROKEN.get(str(record.attributes.get(keys.FAULT)))
        if broken and not any(_is_mended_by(record, later) for later in calls[number + 1 :]):
            return f"{record.name}: {broken}"
    return ""


def _is_mended_by(record: SpanRecord, later: SpanRecord) -> bool:
    is_whole = later.error is None and keys.FAULT not in later.attributes
    return is_whole and later.name == record.name and later.inputs == record.inputs


def own_error(error: BaseException) -> TracediffError | None:
    """Return the exception that tracediff itself raised, this one or one that it was raised from."""
    found = (item for item in _causes(error) if isinstance(item, TracediffError) and not isinstance(item, EngineError))
    return next(found, None)


def _fault_of_one(error: BaseException) -> Fault:
    match error:
        case EngineRefused():
            return "refused"
        case EngineUnavailable() | ConnectionError():
            return "transport"
        case TracediffError():
            return "usage"
    names = {kind.__name__ for kind in type(error).__mro__}
    if not names & _STATUS_NAMES:
        return "program"
    status = getattr(error, "status_code", None)
    if getattr(error, "code", None) in _NO_QUOTA or (status == 400 and _NO_CREDIT in error_text(error)):
        return "refused"
    by_name: tuple[tuple[Fault, frozenset[str]], ...] = (
        ("transport", _TRANSPORT_NAMES),
        ("refused", _REFUSED_NAMES),
        ("rejected", _REJECTED_NAMES),
    )
    for fault, known in by_name:
        if names & known:
            return fault
    if isinstance(status, int) and not isinstance(status, bool):
        if status in _TRANSPORT_STATUS or status >= 500:
            return "transport"
        if status in _REFUSED_STATUS:
            return "refused"
        if status in _REJECTED_STATUS:
            return "rejected"
    return "program"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and what it was raised from, each once."""
    seen: list[BaseException] = []
    item: BaseException | None = error
    while item is not None and item not in seen:
        seen.append(item)
        yield item
        item = item.__cause__
