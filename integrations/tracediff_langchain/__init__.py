"""Records of LangChain's steps: chains, functions, parsers, retrievers, tools, and models that no patched client calls.

LangChain's own callbacks are listened to, so chains and agents that were built before are seen too, in every thread. A
chat model that calls through the openai or anthropic client is no second node: the client's record is the call.

Turn it on with ``tracediff.instrument("langchain")``.
"""

from __future__ import annotations

from collections.abc import Callable

from tracediff.capture.versions import require
from tracediff_langchain.shared import shared

__all__ = ["HIGHEST", "LOWEST", "install"]

LOWEST, HIGHEST = "1.0", "2"
"""Of ``langchain-core``: from, and below."""


def install() -> Callable[[], None]:
    """Listen to LangChain, now if it is imported, else when it is; return what undoes it.

    Raises:
        MissingIntegration: langchain-core is not installed.
        UnsupportedVersion: it is in a version that is not supported.
    """
    require("langchain", "langchain-core", LOWEST, HIGHEST)
    return shared.acquire()
