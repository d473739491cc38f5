"""The engine over a provider's client: retries, refusals and structured output."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tracediff.engine.dialects import Dialect, Form
from tracediff.engine.patience import Fault, Patience
from tracediff.engine.protocol import EngineReply, EngineRequest
from tracediff.errors import EngineRefused, EngineUnavailable


class ClientEngine:
    """Engine over a provider's client; built by ``connect``."""

    def __init__(
        self,
        dialect: Dialect,
        client: Any,
        model: str,
        *,
        temperature: float | None,
        max_tokens: int | None,
        patience: Patience,
    ) -> None:
        self._dialect = dialect
        self._errors: Any = dialect.errors()
        self._client = client
        self._model = model
        given = {"model": model, "temperature": temperature, "max_tokens": max_tokens}
        self._settings: Mapping[str, Any] = {name: value for name, value in given.items() if value is not None}
        self._patience = patience
        self._refused: set[Form] = set()
        """Forms that this server refused where it then took another one: not tried again."""

    def __repr__(self) -> str:
        return f"<engine {self._dialect.package}:{self._model} at {_address(str(self._client.base_url))}>"

    def __call__(self, request: EngineRequest) -> EngineReply:
        """Answer one request; raise EngineRefused or EngineUnavailable."""
        from opentelemetry.instrumentation.utils import suppress_instrumentation

        # Ours is suppressed by it too: an engine's call is no part of the program.
        with suppress_instrumentation():
            if not request.schema:
                return self._answer(request, "free", is_last=True)
            possible = self._dialect.forms(json.loads(request.schema))
            forms = [form for form in possible if form not in self._refused]
            for position, form in enumerate(forms):
                try:
                    reply = self._answer(request, form, is_last=form == forms[-1])
                except _FormRefused:
                    continue
                self._refused.update(forms[:position])
                return reply
        raise AssertionError

    def _answer(self, request: EngineRequest, form: Form, *, is_last: bool) -> EngineReply:
        """Return the first good answer within the patience; ``is_last`` says that no other form is left to try."""
        for attempt in range(self._patience.max_retries + 1):
            answer = self._try_once(request, form, is_last=is_last)
            if isinstance(answer, EngineReply):
                return answer
            is_over = attempt == self._patience.max_retries
            wait_s = 0.0 if is_over else self._patience.wait_s(attempt, request, answer.headers)
            if is_over or wait_s > self._patience.max_wait_s:
                times = "once" if attempt == 0 else f"{attempt + 1} times"
                asked = f"; it asks for a pause of {wait_s:.0f} s" if wait_s else ""
                raise EngineUnavailable(
                    f"{self!r} did not answer, tried {times}: {answer.reason}{asked}. The same call may succeed later."
                ) from answer.cause
            time.sleep(wait_s)
        raise AssertionError

    def _try_once(self, request: EngineRequest, form: Form, *, is_last: bool) -> EngineReply | Fault:
        """Send one request; return the reply, or the fault when it may be repeated."""
        errors = self._errors
        try:
            answer = self._dialect.send(self._client, request, form, self._settings)
        except errors.APIStatusError as error:
            return self._status_fault(error, may_be_form=not is_last)
        except errors.APITimeoutError as error:
            return Fault(f"no reply within {self._client.timeout} s", cause=error)
        except errors.APIConnectionError as error:
            return Fault(f"connection failed ({error.__cause__ or error})", cause=error)
        except UnicodeEncodeError as error:
            raise EngineRefused(f"the request to {self!r} can't be sent: {error}") from error
        except (getattr(errors, self._dialect.base_error), ValueError) as error:  # broken JSON is a bare ValueError
            return Fault(f"status 200 with a body that can't be read ({type(error).__name__}: {error})", cause=error)
        return self._dialect.read(answer)

    def _status_fault(self, error: Any, *, may_be_form: bool) -> Fault:
        """Return the fault of a status that may pass; raise for one that never will."""
        status, code = error.status_code, getattr(error, "code", None)
        said = f"status {status}: {error.message}"
        is_quota = code in ("insufficient_quota", "billing_hard_limit_reached")
        if (status in (408, 409, 429) and not is_quota) or status >= 500:
            return Fault(said, error.response.headers, error)
        if may_be_form and status in (400, 422) and code != "context_length_exceeded":
            raise _FormRefused(said) from error
        dialect = self._dialect
        advice = {
            401: f"Check {dialect.key_variable}.",
            403: "Check that the key may use this model.",
            404: f"Check the model's name ({self._model}) and {dialect.address_variable}.",
        }.get(status, "The quota is exhausted: check the plan and billing." if is_quota else "Check the request.")
        raise EngineRefused(f"{self!r} refused: {said}. {advice}") from error


class _FormRefused(EngineRefused):
    """The server may have refused the form of the reply; it is asked once more in another one."""


def _address(url: str) -> str:
    """Return a URL without user info."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
