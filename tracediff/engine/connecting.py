"""From the name of a model to an engine."""

from __future__ import annotations

import os

from tracediff.engine.client import ClientEngine
from tracediff.engine.dialects import DIALECTS
from tracediff.engine.patience import Patience
from tracediff.engine.protocol import Engine
from tracediff.errors import EngineRefused, MissingIntegration, UsageError


def connect(
    spec: str,
    *,
    temperature: float | None = None,
    max_tokens: int | None = None,
    max_retries: int = 5,
    timeout_s: float = 120.0,
    max_wait_s: float = 300.0,
) -> Engine:
    """Return the engine that ``spec`` names: ``"openai:MODEL"`` or ``"anthropic:MODEL"``.

    ``openai`` is any server that speaks OpenAI's chat completions; its key comes from ``OPENAI_API_KEY``, its address
    from ``OPENAI_BASE_URL``. ``anthropic`` is any that speaks Anthropic's messages, with ``ANTHROPIC_API_KEY`` and
    ``ANTHROPIC_BASE_URL``. One client serves all threads. Transport faults are retried up to ``max_retries`` times,
    never earlier than a Retry-After says; a server that asks for more than ``max_wait_s`` is not waited for.
    ``max_tokens`` caps each reply (by default the provider does, Anthropic's messages at 8192).

    Raises:
        UsageError: ``spec`` names no known provider or no model.
        MissingIntegration: the client library is not installed.
        EngineRefused: no key.
    """
    provider, _, model = spec.partition(":")
    dialect = DIALECTS.get(provider)
    if dialect is None or not model:
        names = ", ".join(f"{name}:MODEL" for name in DIALECTS)
        raise UsageError(f"no engine {spec!r}; expected {names}, for instance openai:gpt-5-mini")
    try:
        dialect.errors()
    except ModuleNotFoundError as error:
        raise MissingIntegration(
            f"the engine {provider}:MODEL needs the package {provider}; install it: pip install 'tracediff[{provider}]'"
        ) from error
    if not os.environ.get(dialect.key_variable):
        raise EngineRefused(
            f"no key for the engine {spec}: the environment variable {dialect.key_variable} is not set. Set it: export "
            f"{dialect.key_variable}=... (a local server, its address in {dialect.address_variable}, takes any value)"
        )
    client = dialect.open(timeout_s)
    patience = Patience(max_retries=max_retries, max_wait_s=max_wait_s)
    return ClientEngine(dialect, client, model, temperature=temperature, max_tokens=max_tokens, patience=patience)
