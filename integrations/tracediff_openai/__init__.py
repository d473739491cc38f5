"""Records of the openai client's calls: chat completions, responses, legacy completions and embeddings.

One choke point is patched, ``request`` of the client classes, which every call shape goes through: create, parse,
stream helpers, raw and streaming responses, sync and async, Azure and Bedrock classes, openai 2.45 to 3.x. Other paths
(files, images, retrieval of a response) go straight through.

Turn it on with ``tracediff.instrument("openai")``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracediff.capture import stainless
from tracediff_openai.shapes import shape_of

__all__ = ["install"]


def install() -> Callable[[], None]:
    """Patch the openai client, now if it is imported, else when it is; return what undoes it.

    Raises:
        MissingIntegration: openai is not installed.
    """
    return stainless.install(stainless.Library("openai", ("OpenAI", "AsyncOpenAI"), shape_of, _provider))


def _provider(client_class: type[Any]) -> str:
    """Return ``gen_ai.provider.name`` of a client class."""
    names = {base.__name__ for base in client_class.__mro__}
    if "BaseAzureClient" in names:
        return "azure.ai.openai"
    return "aws.bedrock" if any("Bedrock" in name for name in names) else "openai"
