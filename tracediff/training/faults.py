"""Faults: whose fault an exception is, the program's, the transport's, or nobody's who could mend it by waiting.

Judged by class name and status, so that no client library is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from tracediff.errors import EngineRefused, EngineUnavailable

Fault: TypeAlias = Literal["", "program", "transport", "refused", "lost"]
"""``program``: scores 0; ``transport`` and ``lost`` (context): excluded; ``refused``: the run must stop; "": none."""

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
_REFUSED_NAMES = frozenset({"AuthenticationError", "PermissionDeniedError", "BadRequestError"})
_TRANSPORT_STATUS = frozenset({408, 409, 425, 429})
_REFUSED_STATUS = frozenset({400, 401, 403, 404, 413, 422})
_NO_QUOTA = "insufficient_quota"


def fault_of(error: BaseException) -> Fault:
    """Return whose fault an exception is; the exceptions that it was raised from are looked at too."""
    for item in _causes(error):
        if isinstance(item, EngineRefused):
            return "refused"
        if isinstance(item, EngineUnavailable | ConnectionError | TimeoutError):
            return "transport"
        names = {kind.__name__ for kind in type(item).__mro__}
        status = getattr(item, "status_code", None)
        if getattr(item, "code", None) == _NO_QUOTA:
            return "refused"
        if names & _TRANSPORT_NAMES:
            return "transport"
        if names & _REFUSED_NAMES:
            return "refused"
        if isinstance(status, int) and not isinstance(status, bool):
            if status in _TRANSPORT_STATUS or status >= 500:
                return "transport"
            if status in _REFUSED_STATUS:
                return "refused"
    return "program"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and what it was raised from, each once."""
    seen: list[BaseException] = []
    item: BaseException | None = error
    while item is not None and item not in seen:
        seen.append(item)
        yield item
        item = item.__cause__


def described(error: BaseException) -> str:
    """Return ``TypeName: message``, also for an exception whose own ``str`` raises."""
    try:
        message = str(error)
    except Exception:  # the program's exception; its text is not worth failing for
        message = "(its message can't be read)"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
