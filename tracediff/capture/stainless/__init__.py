"""Clients that Stainless generates (openai, anthropic): patched at the one method that every call goes through.

``SyncAPIClient.request`` and ``AsyncAPIClient.request`` serve create, parse, stream helpers, raw and streaming
responses of every resource and of every client class (Azure, Bedrock, Vertex), so one patch sees each call once. An
integration states its ``Library``: the paths that it records and how their requests and replies are read.
"""

from __future__ import annotations

from tracediff.capture.stainless.patch import Library, install
from tracediff.capture.stainless.shape import Fold, Reply, Shape

__all__ = ["Fold", "Library", "Reply", "Shape", "install"]
