"""Multi-hop retrieval: a query generator called twice, a BM25 retriever, deduplication, an answer.

An ordinary program with the real client; the decorators are all that tracediff needs. Settings come from the
environment: OPENAI_API_KEY, OPENAI_BASE_URL (any compatible server), TRACEDIFF_EXAMPLE_MODEL, and
TRACEDIFF_EXAMPLE_CORPUS, a JSON file with a list of paragraphs or HotPotQA questions with their contexts.

    python examples/multi_hop.py "Were Scott Derrickson and Ed Wood of the same nationality?"
"""

from __future__ import annotations

import functools
import json
import os
import re
import string
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import bm25s  # type: ignore[import-untyped]
from openai import OpenAI

import tracediff as td

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

    def __init__(self, paragraphs: Sequence[str]) -> None:
        self.paragraphs = list(paragraphs)
        self.index = bm25s.BM25()
        self.index.index(words(self.paragraphs), show_progress=False)

    @td.functional_node(kind="retriever")
    def retrieve(self, query: str) -> list[str]:
        """Return the paragraphs of the corpus that fit the query best."""
        found, _ = self.index.retrieve(words([query]), k=min(TOP_K, len(self.paragraphs)), show_progress=False)
        return [self.paragraphs[number] for number in found[0]]

    def __call__(self, question: str) -> str:
        """Return a short answer."""
        searches: list[list[str]] = []
        for _ in range(HOPS):
            found = [paragraph for search in searches for paragraph in search]
            searches.append(self.retrieve(write_query(question, found)))
        passages = deduplicate(*searches)
        return last_line(ask(("system", answer_task()), ("user", answer_prompt(question, passages))))


def words(texts: Sequence[str]) -> list[list[str]]:
    """Return each text as lower-case words, for the index."""
    return [re.findall(r"\w+", text.casefold()) for text in texts]


@functools.cache
def over(path: str) -> MultiHop:
    """Return the program over the corpus in this file."""
    return MultiHop(load_corpus(path))


def program(question: str) -> str:
    """Return a short answer from the corpus that TRACEDIFF_EXAMPLE_CORPUS names."""
    return over(os.environ["TRACEDIFF_EXAMPLE_CORPUS"])(question)


def normalised(text: str) -> list[str]:
    """Return the words that count when answers are compared: HotPotQA's rule."""
    bare = "".join(c for c in text.casefold() if c not in string.punctuation)
    return [word for word in bare.split() if word not in {"a", "an", "the"}]


def metric(prediction: str, sample: Mapping[str, str]) -> td.Score:
    """Return exact match, with words about what is wrong."""
    if normalised(prediction) == normalised(sample["answer"]):
        return td.Score(1.0)
    return td.Score(0.0, feedback=f"The answer is {prediction!r}, expected was {sample['answer']!r}.")


def f1(prediction: str, sample: Mapping[str, str]) -> float:
    """Return the overlap of words: for ``loss_metric``."""
    given, right = normalised(prediction), normalised(sample["answer"])
    common = sum((Counter(given) & Counter(right)).values())
    return 2 * common / (len(given) + len(right)) if common else 0.0


def load(path: str | Path) -> list[dict[str, str]]:
    """Return the questions of a JSONL file, or of a HotPotQA file in JSON."""
    text = Path(path).read_text(encoding="utf-8")
    if Path(path).suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return [
        {
            "id": str(entry.get("_id") or entry.get("id") or f"hotpot-{number}"),
            "question": entry["question"],
            "answer": entry["answer"],
        }
        for number, entry in enumerate(json.loads(text))
    ]


def load_corpus(path: str | Path) -> list[str]:
    """Return the paragraphs of a JSON list, or those of all contexts of a HotPotQA file, each once."""
    entries = json.loads(Path(path).read_text(encoding="utf-8"))
    if all(isinstance(entry, str) for entry in entries):
        return list(dict.fromkeys(entries))
    contexts = [context for entry in entries for context in entry["context"]]
    return list(dict.fromkeys(f"{title}: {''.join(sentences)}" for title, sentences in contexts))


if __name__ == "__main__":
    print(program(sys.argv[1]))
