"""The program of multi_hop.py without decorators, a query generator called twice. Nothing of tracediff in this file.

python examples/multi_hop_undecorated.py "Were Scott Derrickson and Ed Wood of the same nationality?"
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

HOPS = 2


@functools.cache
def client() -> OpenAI:
    """Return the one client of this process: making one takes longer than a call."""
    return OpenAI()


def ask(*messages: tuple[str, str]) -> str:
    """Return the model's reply."""
    completion = client().chat.completions.create(
        model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "gpt-4o-mini"),
        messages=[{"role": role, "content": text} for role, text in messages],  # type: ignore[misc]
        temperature=0,
    )
    return completion.choices[0].message.content or ""


def write_query(question: str, found: Sequence[str]) -> str:
    """Return the next search query."""
    reply = ask(
        (
            "user",
            f"""Write one search query for the next fact that the question needs and that is not found yet.
End with a line of the form: Query: <search query>
<question>{question}</question>
<found>
{chr(10).join(found) or "(nothing yet)"}
</found>""",
        )
    )
    return reply.rpartition("Query:")[2].strip()


def retrieve(query: str) -> list[str]:
    """Return the paragraphs that fit the query best."""
    return paragraphs().search(query)


def deduplicate(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Return the paragraphs of both searches, each once, in order."""
    return list(dict.fromkeys([*first, *second]))


def program(question: str) -> str:
    """Return a short answer from the paragraphs."""
    searches: list[list[str]] = []
    for _ in range(HOPS):
        found = [paragraph for search in searches for paragraph in search]
        searches.append(retrieve(write_query(question, found)))
    passages = deduplicate(*searches)
    reply = ask(
        ("system", "Answer the question from the passages. Be brief."),
        (
            "user",
            f"""End with a line of the form: Answer: <answer>
<question>{question}</question>
<passages>
{chr(10).join(passages)}
</passages>""",
        ),
    )
    return reply.rpartition("Answer:")[2].strip()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(program(sys.argv[1]))
