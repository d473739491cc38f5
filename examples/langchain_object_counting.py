"""Object counting as a LangChain chain. Nothing of tracediff in this file.

Settings come from the environment: OPENAI_API_KEY, OPENAI_BASE_URL (any compatible server), TRACEDIFF_EXAMPLE_MODEL.

    python examples/langchain_object_counting.py "I have a fig, two pears, and a lamp. How many fruits do I have?"
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Mapping

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_openai import ChatOpenAI

PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Count the things that the user asks about. End with a line of the form: Answer: <number>"),
        ("user", "{question}"),
    ]
)


def last_number(reply: str) -> str:
    """Return the last number in the reply, or nothing."""
    numbers = re.findall(r"\d+", reply)
    return numbers[-1] if numbers else ""


@functools.cache
def chain() -> Runnable[dict[str, str], str]:
    """Return the chain, made once."""
    model = ChatOpenAI(model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "gpt-4o-mini"), temperature=0)
    return PROMPT | model | StrOutputParser() | RunnableLambda(last_number)


def program(question: str) -> str:
    """Return how many things there are, as digits."""
    return chain().invoke({"question": question})


def metric(prediction: str, sample: Mapping[str, str]) -> float:
    """Return 1 for the right number, else 0."""
    return float(prediction == sample["answer"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(program(sys.argv[1]))
