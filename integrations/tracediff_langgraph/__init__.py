"""Records of LangGraph: graphs, their nodes under their own names, routers, tools and agents, by LangChain's callbacks.

Turn it on with ``tracediff.instrument("langgraph")``.
"""

from __future__ import annotations

from collections.abc import Callable

from tracediff.capture.versions import require
from tracediff_langchain.shared import shared

__all__ = ["HIGHEST", "LOWEST", "install"]

LOWEST, HIGHEST = "1.0", "2"
"""Of ``langgraph``: from, and below."""


def install() -> Callable[[], None]:
    """Listen to LangGraph, now if it is imported, else when it is; return what undoes it.

    Raises:
        MissingIntegration: langgraph is not installed.
        UnsupportedVersion: it is in a version that is not supported.
    """
    require("langgraph", "langgraph", LOWEST, HIGHEST)
    require("langgraph", "langchain-core", "1.0", "2")
    return shared.acquire()
