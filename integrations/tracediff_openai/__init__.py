"""Records of the openai client's calls: chat completions, responses and legacy completions.

One choke point is patched, ``OpenAI.request`` and ``AsyncOpenAI.request``, which every call shape goes through: create,
parse, stream helpers, raw and streaming responses, sync and async, Azure and Bedrock classes, openai 2.45 to 3.x.
Other paths (embeddings, files, retrieval of a response) go straight through.

Turn it on with ``tracediff.instrument("openai")``.
"""

from __future__ import annotations

from tracediff_openai.patch import install

__all__ = ["install"]
