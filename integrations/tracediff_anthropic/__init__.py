"""Records of the anthropic client's calls: messages, beta messages and token counts.

One choke point is patched, ``request`` of the client classes, which every call shape goes through: create, parse,
stream helpers, tool runners, raw and streaming responses, sync and async, and the Bedrock, Vertex, Foundry, AWS and
Google Cloud classes, which copy the methods of messages but not this one. Other paths (batches, files, models) go
straight through.

Turn it on with ``tracediff.instrument("anthropic")``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracediff.capture import stainless
from tracediff_anthropic.shapes import shape_of

__all__ = ["install"]

_PROVIDERS = {"Bedrock": "aws.bedrock", "Vertex": "gcp.vertex_ai"}
"""Mark in the name of a client class -> provider; any other class speaks to anthropic itself."""


def install() -> Callable[[], None]:
    """Patch the anthropic client, now if it is imported, else when it is; return what undoes it.

    Raises:
        MissingIntegration: anthropic is not installed.
    """
    return stainless.install(stainless.Library("anthropic", ("Anthropic", "AsyncAnthropic"), shape_of, _provider))


def _provider(client_class: type[Any]) -> str:
    """Return ``gen_ai.provider.name`` of a client class."""
    names = " ".join(base.__name__ for base in client_class.__mro__)
    return next((provider for mark, provider in _PROVIDERS.items() if mark in names), "anthropic")
