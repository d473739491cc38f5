"""Records of LlamaIndex's steps: engines, retrievers, postprocessors, tools, parsers, workflows, other vendors' models.

The framework's own instrumentation is listened to, so engines and agents that were built before are seen too. A model
that calls through the openai or anthropic client is no second node: the client's record is the call.

Turn it on with ``tracediff.instrument("llama_index")``.
"""

from __future__ import annotations

from collections.abc import Callable

from tracediff.capture.versions import require
from tracediff_llama_index.patch import Patch

__all__ = ["HIGHEST", "LOWEST", "install"]

LOWEST, HIGHEST = "0.14.5", "0.15"
"""Of ``llama-index-core``: from (its models take openai 2 from here on), and below."""


def install() -> Callable[[], None]:
    """Listen to LlamaIndex, now if it is imported, else when it is; return what undoes it.

    Raises:
        MissingIntegration: llama-index-core is not installed.
        UnsupportedVersion: it is in a version that is not supported.
    """
    require("llama_index", "llama-index-core", LOWEST, HIGHEST)
    patch = Patch()
    patch.install()
    return patch.undo
