"""The LLM that the backward pass and the optimizers talk to."""

from __future__ import annotations

import contextlib
import json
import os
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from tracediff.errors import EngineRefused, EngineUnavailable, MissingIntegration, UsageError

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


Settings: TypeAlias = Mapping[str, Any]


def connect(
    spec: str,
    *,
    temperature: float | None = None,
    max_retries: int = 5,
    timeout_s: float = 120.0,
    max_wait_s: float = 300.0,
) -> Engine:
    """Return the engine that ``spec`` names: ``"openai:MODEL"``, any server that speaks OpenAI's chat completions.

    The key comes from ``OPENAI_API_KEY``, the address from ``OPENAI_BASE_URL``. One client serves all threads.
    Transport faults are retried up to ``max_retries`` times, never earlier than a Retry-After says; a server that
    asks for more than ``max_wait_s`` is not waited for.

    Raises:
        UsageError: ``spec`` names no known provider or no model.
        MissingIntegration: the client library is not installed.
        EngineRefused: no key.
    """
    provider, _, model = spec.partition(":")
    known = {"openai": _OpenAIEngine}
    if provider not in known or not model:
        names = ", ".join(f"{name}:MODEL" for name in known)
        raise UsageError(f"no engine {spec!r}; expected {names}, for instance openai:gpt-5-mini")
    patience = _Patience(max_retries=max_retries, max_wait_s=max_wait_s)
    return known[provider](model, temperature=temperature, timeout_s=timeout_s, patience=patience)


@dataclass(frozen=True, slots=True)
class _Patience:
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


class _Fault(NamedTuple):
    """One failed attempt that may be repeated."""

    reason: str
    headers: Mapping[str, str] = {}
    cause: BaseException | None = None


class _OpenAIEngine:
    """Engine over the openai client; built by ``connect``."""

    def __init__(self, model: str, *, temperature: float | None, timeout_s: float, patience: _Patience) -> None:
        try:
            import openai
        except ModuleNotFoundError as error:
            raise MissingIntegration(
                "the engine openai:MODEL needs the package openai; install it: pip install 'tracediff[openai]'"
            ) from error
        if not os.environ.get("OPENAI_API_KEY"):
            raise EngineRefused(
                f"no key for the engine openai:{model}: the environment variable OPENAI_API_KEY is not set. "
                "Set it: export OPENAI_API_KEY=... (a local server, its address in OPENAI_BASE_URL, takes any value)"
            )
        self._errors = openai
        # Retries are ours: the client would repeat an exhausted quota and can't see a broken page at status 200.
        self._client = openai.OpenAI(timeout=timeout_s, max_retries=0)
        self._model = model
        self._temperature = temperature
        self._patience = patience
        self._takes_schema = True
        """Set to False for good once this server refused a response format that it did without."""

    def __repr__(self) -> str:
        return f"<engine openai:{self._model} at {_address(str(self._client.base_url))}>"

    def __call__(self, request: EngineRequest) -> EngineReply:
        """Answer one request; raise EngineRefused or EngineUnavailable."""
        from opentelemetry.instrumentation.utils import suppress_instrumentation

        # Ours is suppressed by it too: an engine's call is no part of the program.
        with suppress_instrumentation():
            if not (request.schema and self._takes_schema):
                return self._answer(request, with_schema=False)
            try:
                return self._answer(request, with_schema=True)
            except _FormatRefused:
                reply = self._answer(request, with_schema=False)
                self._takes_schema = False
                return reply

    def _answer(self, request: EngineRequest, *, with_schema: bool) -> EngineReply:
        """Return the first good answer within the patience."""
        for attempt in range(self._patience.max_retries + 1):
            answer = self._try_once(request, with_schema)
            if isinstance(answer, EngineReply):
                return answer
            is_last = attempt == self._patience.max_retries
            wait_s = 0.0 if is_last else self._patience.wait_s(attempt, request, answer.headers)
            if is_last or wait_s > self._patience.max_wait_s:
                times = "once" if attempt == 0 else f"{attempt + 1} times"
                asked = f"; it asks for a pause of {wait_s:.0f} s" if wait_s else ""
                raise EngineUnavailable(
                    f"{self!r} did not answer, tried {times}: {answer.reason}{asked}. The same call may succeed later."
                ) from answer.cause
            time.sleep(wait_s)
        raise AssertionError

    def _try_once(self, request: EngineRequest, with_schema: bool) -> EngineReply | _Fault:
        """Send one request; return the reply, or the fault when it may be repeated."""
        errors = self._errors
        try:
            answer = self._client.chat.completions.create(**self._arguments(request, with_schema))
        except errors.APIStatusError as error:
            return self._status_fault(error, with_schema)
        except errors.APITimeoutError as error:
            return _Fault(f"no reply within {self._client.timeout} s", cause=error)
        except errors.APIConnectionError as error:
            return _Fault(f"connection failed ({error.__cause__ or error})", cause=error)
        except UnicodeEncodeError as error:
            raise EngineRefused(f"the request to {self!r} can't be sent: {error}") from error
        except (errors.OpenAIError, ValueError) as error:  # a broken JSON body at status 200 is a bare ValueError
            return _Fault(f"status 200 with a body that can't be read ({type(error).__name__}: {error})", cause=error)
        return _reply_of(answer)

    def _arguments(self, request: EngineRequest, with_schema: bool) -> dict[str, Any]:
        """Return the arguments of the client call."""
        messages = [{"role": "system", "content": request.system}] if request.system else []
        arguments: dict[str, Any] = {
            "model": self._model,
            "messages": [*messages, {"role": "user", "content": request.user}],
        }
        if self._temperature is not None:
            arguments["temperature"] = self._temperature
        if with_schema:
            schema = json.loads(request.schema)
            name = request.schema_name or "reply"
            wanted = {"name": name, "schema": schema, "strict": _is_strict(schema)}
            arguments["response_format"] = {"type": "json_schema", "json_schema": wanted}
        return arguments

    def _status_fault(self, error: Any, with_schema: bool) -> _Fault:
        """Return the fault of a status that may pass; raise for one that never will."""
        status = error.status_code
        said = f"status {status}: {error.message}"
        is_quota = error.code in ("insufficient_quota", "billing_hard_limit_reached")
        if (status in (408, 409, 429) and not is_quota) or status >= 500:
            return _Fault(said, error.response.headers, error)
        if with_schema and status in (400, 422) and error.code != "context_length_exceeded":
            raise _FormatRefused(said) from error
        advice = {
            401: "Check OPENAI_API_KEY.",
            403: "Check that the key may use this model.",
            404: f"Check the model's name ({self._model}) and OPENAI_BASE_URL.",
        }.get(status, "The quota is exhausted: check the plan and billing." if is_quota else "Check the request.")
        raise EngineRefused(f"{self!r} refused: {said}. {advice}") from error


class _FormatRefused(EngineRefused):
    """The server may have refused the response format; it is asked once more without."""


def _reply_of(answer: Any) -> EngineReply | _Fault:
    """Return the reply in a parsed answer, or a fault for a body that is none (an HTML page, an error object)."""
    if isinstance(answer, str):
        return _Fault(f"status 200 with a body that is no JSON ({answer[:80]!r})")
    choices = getattr(answer, "choices", None) or [None]
    message = getattr(choices[0], "message", None)
    if message is None:
        said = getattr(answer, "error", None)
        return _Fault("status 200 without an answer in it" + (f" ({said})" if said else ""))
    usage = answer.usage
    return EngineReply(
        text=message.content or "",
        input_tokens=getattr(usage, "prompt_tokens", 0) or 0,
        output_tokens=getattr(usage, "completion_tokens", 0) or 0,
        finish_reason=choices[0].finish_reason or "unknown",
        model=answer.model or "",
    )


def _is_strict(schema: Any) -> bool:
    """Tell whether each object of a schema closes its properties and requires all of them, as strict mode demands."""
    if isinstance(schema, list):
        return all(_is_strict(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object":
        names = set(schema.get("properties", ()))
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != names:
            return False
    return all(_is_strict(part) for part in schema.values())


def _address(url: str) -> str:
    """Return a URL without user info."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
