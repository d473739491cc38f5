"""Questions over paragraphs, as in HotPotQA: files read, paragraphs behind a BM25 index, answers compared.

TRACEDIFF_EXAMPLE_CORPUS names a JSON file with a list of paragraphs, or with HotPotQA questions and their contexts.
"""

from __future__ import annotations

import functools
import json
import os
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import bm25s  # type: ignore[import-untyped]


class Paragraphs:
    """Paragraphs that are searched by words."""

    def __init__(self, paragraphs: Sequence[str]) -> None:
        self.paragraphs = list(paragraphs)
        self.index = bm25s.BM25()
        self.index.index(words(self.paragraphs), show_progress=False)

    def search(self, query: str, k: int = 2) -> list[str]:
        """Return the paragraphs that fit the query best."""
        found, _ = self.index.retrieve(words([query]), k=min(k, len(self.paragraphs)), show_progress=False)
        return [self.paragraphs[number] for number in found[0]]


def words(texts: Sequence[str]) -> list[list[str]]:
    """Return each text as lower-case words, for the index."""
    return [re.findall(r"\w+", text.casefold()) for text in texts]


@functools.cache
def over(path: str) -> Paragraphs:
    """Return the paragraphs of a file, indexed once."""
    try:
        return Paragraphs(load_corpus(path))
    except (OSError, ValueError) as error:
        raise SystemExit(f"TRACEDIFF_EXAMPLE_CORPUS is {path}, which can't be used: {error}") from error


def paragraphs() -> Paragraphs:
    """Return the paragraphs of the file that TRACEDIFF_EXAMPLE_CORPUS names."""
    path = os.environ.get("TRACEDIFF_EXAMPLE_CORPUS")
    if not path:
        raise SystemExit(
            "TRACEDIFF_EXAMPLE_CORPUS is not set: name a JSON file of paragraphs, such as a HotPotQA file, or the "
            "corpus.json that `python -m tracediff.simulate --write samples` makes"
        )
    return over(path)


def load_corpus(path: str | Path) -> list[str]:
    """Return the paragraphs of a JSON list, or those of all contexts of a HotPotQA file, each once.

    Raises ValueError for a file that is neither.
    """
    entries = json.loads(Path(path).read_text(encoding="utf-8"))
    if entries and isinstance(entries, list) and all(isinstance(entry, str) for entry in entries):
        return list(dict.fromkeys(entries))
    if not (entries and isinstance(entries, list) and all("context" in entry for entry in entries)):
        raise ValueError("expected a JSON list of paragraphs, or of HotPotQA questions with their contexts")
    contexts = [context for entry in entries for context in entry["context"]]
    return list(dict.fromkeys(f"{title}: {''.join(sentences)}" for title, sentences in contexts))


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


def normalised(text: str) -> list[str]:
    """Return the words that count when answers are compared: HotPotQA's rule."""
    bare = "".join(c for c in text.casefold() if c not in string.punctuation)
    return [word for word in bare.split() if word not in {"a", "an", "the"}]


def exact(prediction: str, sample: Mapping[str, str]) -> float:
    """Return 1 for the right answer, else 0."""
    return float(normalised(prediction) == normalised(sample["answer"]))


def f1(prediction: str, sample: Mapping[str, str]) -> float:
    """Return the overlap of words."""
    given, right = normalised(prediction), normalised(sample["answer"])
    common = sum((Counter(given) & Counter(right)).values())
    return 2 * common / (len(given) + len(right)) if common else 0.0
