"""How often and how long an engine waits for a server."""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from tracediff.engine.protocol import EngineRequest


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long to wait for a server."""

    max_retries: int
    max_wait_s: float

    def wait_s(self, attempt: int, request: EngineRequest, headers: Mapping[str, str]) -> float:
        """Return the seconds to wait after failed attempt ``attempt`` (from 0): what the server asks, else backoff.

        The jitter is drawn from the request, so a repeated run waits the same.
        """
        if (asked := _retry_after_s(headers)) is not None:
            return asked
        jitter = zlib.crc32(f"{attempt}{request.user}".encode("utf-8", "surrogatepass")) / 2**32
        return float(min(0.5 * 2**attempt, 8.0)) * (0.75 + 0.5 * jitter)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a Retry-After header asks for (milliseconds, seconds or a date); None without one."""
    with contextlib.suppress(KeyError, ValueError):
        return max(float(headers["retry-after-ms"]) / 1000, 0.0)
    try:
        text = headers["retry-after"]
    except KeyError:
        return None
    with contextlib.suppress(ValueError):
        return max(float(text), 0.0)
    with contextlib.suppress(ValueError):
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    return None


class Fault(NamedTuple):
    """One failed attempt that may be repeated."""

    reason: str
    headers: Mapping[str, str] = {}
    cause: BaseException | None = None
