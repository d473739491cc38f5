"""Multi-hop retrieval: a query generator called twice, a BM25 retriever, deduplication, an answer.

An ordinary program with the real client; the decorators are all that tracediff needs. Settings come from the
environment: OPENAI_API_KEY, OPENAI_BASE_URL (any compatible server), TRACEDIFF_EXAMPLE_MODEL, and
TRACEDIFF_EXAMPLE_CORPUS, see hotpot.py.

    python examples/multi_hop.py "Were Scott Derrickson and Ed Wood of the same nationality?"
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from openai import OpenAI

import tracediff as td

sys.path.append(str(Path(__file__).parent))  # from wherever this file is loaded
from hotpot import Paragraphs, f1, load, load_corpus, normalised, paragraphs

__all__ = ["MultiHop", "f1", "load", "load_corpus", "metric", "program"]

HOPS = 2
TOP_K = 2


@functools.cache
def client() -> OpenAI:
    """Return the one client of this process: making one takes longer than a call."""
    return OpenAI()


@td.trainable_prompt(role="prompt of the model that writes the next search query")
def query_prompt(question: str, found: Sequence[str]) -> str:
    """Ask for one search query, given what earlier queries found."""
    return f"""Write one search query for the next fact that the question needs and that is not found yet.
End with a line of the form: Query: <search query>
<question>{question}</question>
<found>
{chr(10).join(found) or "(nothing yet)"}
</found>"""


@td.trainable_prompt(role="system prompt of the model that answers")
def answer_task() -> str:
    """Say how to answer."""
    return "Answer the question from the passages. Be brief."


@td.trainable_prompt(role="user message of the model that answers: question, passages, form of the reply")
def answer_prompt(question: str, passages: Sequence[str]) -> str:
    """Give the question with the passages."""
    return f"""End with a line of the form: Answer: <answer>
<question>{question}</question>
<passages>
{chr(10).join(passages)}
</passages>"""


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
    reply = ask(("user", query_prompt(question, found)))
    return reply.rpartition("Query:")[2].strip()


@td.functional_node
def deduplicate(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Return the paragraphs of both searches, each once, in order."""
    return list(dict.fromkeys([*first, *second]))


@td.functional_node
def last_line(reply: str) -> str:
    """Return what the reply gives as its answer."""
    return reply.rpartition("Answer:")[2].strip()


class MultiHop:
    """The program over one corpus of paragraphs."""

    def __init__(self, corpus: Sequence[str] | Paragraphs) -> None:
        self.paragraphs = corpus if isinstance(corpus, Paragraphs) else Paragraphs(corpus)

    @td.functional_node(kind="retriever")
    def retrieve(self, query: str) -> list[str]:
        """Return the paragraphs of the corpus that fit the query best."""
        return self.paragraphs.search(query, TOP_K)

    def __call__(self, question: str) -> str:
        """Return a short answer."""
        searches: list[list[str]] = []
        for _ in range(HOPS):
            found = [paragraph for search in searches for paragraph in search]
            searches.append(self.retrieve(write_query(question, found)))
        passages = deduplicate(*searches)
        return last_line(ask(("system", answer_task()), ("user", answer_prompt(question, passages))))


def program(question: str) -> str:
    """Return a short answer from the corpus that TRACEDIFF_EXAMPLE_CORPUS names."""
    return MultiHop(paragraphs())(question)


def metric(prediction: str, sample: Mapping[str, str]) -> td.Score:
    """Return exact match, with words about what is wrong."""
    if normalised(prediction) == normalised(sample["answer"]):
        return td.Score(1.0)
    return td.Score(0.0, feedback=f"The answer is {prediction!r}, expected was {sample['answer']!r}.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(program(sys.argv[1]))
