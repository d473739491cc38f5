"""Agentic retrieval: a ReAct loop with two tools, search and finish. Nothing of tracediff in this file.

Settings come from the environment: OPENAI_API_KEY, OPENAI_BASE_URL (any compatible server), TRACEDIFF_EXAMPLE_MODEL,
and TRACEDIFF_EXAMPLE_CORPUS, see hotpot.py.

    python examples/agentic_rag.py "Were Scott Derrickson and Ed Wood of the same nationality?"
"""

from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path
from typing import Any

from openai import OpenAI

sys.path.append(str(Path(__file__).parent))  # from wherever this file is loaded
from hotpot import exact as metric
from hotpot import load, paragraphs

__all__ = ["load", "metric", "program"]

MAX_STEPS = 6
SYSTEM = """You find answers with tools. Think aloud in a sentence or two, then call one tool.
Look one fact up at a time, and finish when the paragraphs hold the answer."""
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Search an encyclopedia. Returns the two paragraphs that fit the query best.",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        },
    },
    {
        "type": "function",
        "function": {
            "name": "finish",
            "description": "Give the final result, in as few words as possible.",
            "parameters": {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]},
        },
    },
]


@functools.cache
def client() -> OpenAI:
    """Return the one client of this process: making one takes longer than a call."""
    return OpenAI()


def search(query: str) -> str:
    """Return the paragraphs that fit the query best."""
    return "\n".join(paragraphs().search(query))


def program(question: str) -> str:
    """Return a short answer; empty when the agent does not finish."""
    messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    for _ in range(MAX_STEPS):
        completion = client().chat.completions.create(
            model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "gpt-4o-mini"),
            messages=messages,
            tools=TOOLS,
            temperature=0,
        )
        reply = completion.choices[0].message
        messages.append(reply.model_dump(exclude_none=True))
        for call in reply.tool_calls or ():
            arguments = json.loads(call.function.arguments)  # type: ignore[union-attr]
            if call.function.name == "finish":  # type: ignore[union-attr]
                return str(arguments["answer"])
            messages.append({"role": "tool", "tool_call_id": call.id, "content": search(arguments["query"])})
        if not reply.tool_calls:
            messages.append({"role": "user", "content": "Call one of the tools."})
    return ""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(program(sys.argv[1]))
