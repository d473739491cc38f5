"""Multi-hop retrieval with two query generators, each with its own prompt. Nothing of tracediff in this file.

Settings come from the environment: OPENAI_API_KEY, OPENAI_BASE_URL (any compatible server), TRACEDIFF_EXAMPLE_MODEL,
and TRACEDIFF_EXAMPLE_CORPUS, see hotpot.py.

    python examples/multi_hop_two_queries.py "Were Scott Derrickson and Ed Wood of the same nationality?"
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from openai import OpenAI

sys.path.append(str(Path(__file__).parent))  # from wherever this file is loaded
from hotpot import exact as metric
from hotpot import load, paragraphs

__all__ = ["load", "metric", "program"]


@functools.cache
def client() -> OpenAI:
    """Return the one client of this process: making one takes longer than a call."""
    return OpenAI()


def ask(system: str, user: str) -> str:
    """Return the model's reply."""
    completion = client().chat.completions.create(
        model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "gpt-4o-mini"),
        messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
        temperature=0,
    )
    return completion.choices[0].message.content or ""


def first_query(question: str) -> str:
    """Return the query for the fact that everything else depends on."""
    reply = ask(
        system="You write search queries. Ask for the fact that has to be known before any other.",
        user=f"End with a line of the form: Query: <search query>\n<question>{question}</question>",
    )
    return reply.rpartition("Query:")[2].strip()


def second_query(question: str, found: Sequence[str]) -> str:
    """Return the query for what is still missing."""
    reply = ask(
        system="You get a question and what a first search found. Write one search query for what is still missing.",
        user=f"""The last line must have the form: Query: <search query>
<question>{question}</question>
<found>
{chr(10).join(found)}
</found>""",
    )
    return reply.rpartition("Query:")[2].strip()


def search(query: str) -> list[str]:
    """Return the paragraphs that fit the query best."""
    return paragraphs().search(query)


def answer(question: str, passages: Sequence[str]) -> str:
    """Return a short answer."""
    reply = ask(
        system="Answer the question from the passages. Be brief.",
        user=f"""End with a line of the form: Answer: <answer>
<question>{question}</question>
<passages>
{chr(10).join(passages)}
</passages>""",
    )
    return reply.rpartition("Answer:")[2].strip()


def program(question: str) -> str:
    """Return a short answer from the paragraphs."""
    first = search(first_query(question))
    second = search(second_query(question, first))
    return answer(question, list(dict.fromkeys([*first, *second])))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(program(sys.argv[1]))
