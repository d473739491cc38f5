"""Agentic retrieval with LangGraph's ready-made ReAct agent and two tools. Nothing of tracediff in this file.

Settings come from the environment: OPENAI_API_KEY, OPENAI_BASE_URL (any compatible server), TRACEDIFF_EXAMPLE_MODEL,
and TRACEDIFF_EXAMPLE_CORPUS, see hotpot.py.

    python examples/langgraph_agentic_rag.py "Were Scott Derrickson and Ed Wood of the same nationality?"
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

sys.path.append(str(Path(__file__).parent))  # from wherever this file is loaded
from hotpot import exact as metric
from hotpot import load, paragraphs

__all__ = ["load", "metric", "program"]

MAX_STEPS = 6
SYSTEM = """You find answers with tools. Think aloud in a sentence or two, then call one tool.
Look one fact up at a time, and finish when the paragraphs hold the answer."""


@tool
def search(query: str) -> str:
    """Search an encyclopedia. Returns the two paragraphs that fit the query best."""
    return "\n".join(paragraphs().search(query))


@tool(return_direct=True)
def finish(answer: str) -> str:
    """Give the final result, in as few words as possible."""
    return answer


@functools.cache
def agent() -> Any:
    """Return the agent, made once."""
    model = ChatOpenAI(model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "gpt-4o-mini"), temperature=0)
    return create_agent(model, [search, finish], system_prompt=SYSTEM)


def program(question: str) -> str:
    """Return a short answer."""
    messages = [{"role": "user", "content": question}]
    state = agent().invoke({"messages": messages}, {"recursion_limit": 2 * MAX_STEPS + 1})
    return str(state["messages"][-1].content)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(program(sys.argv[1]))
