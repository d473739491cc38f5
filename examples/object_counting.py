"""Object counting with one call of a model: an ordinary program, plus two decorators.

Settings come from the environment: OPENAI_API_KEY, OPENAI_BASE_URL (any compatible server), TRACEDIFF_EXAMPLE_MODEL.

    python examples/object_counting.py "I have a fig, two pears, and a lamp. How many fruits do I have?"
    tracediff eval examples/object_counting.py:program --data samples.jsonl --metric examples/object_counting.py:metric
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from openai import OpenAI

import tracediff as td


@functools.cache
def client() -> OpenAI:
    """Return the one client of this process: making one takes longer than a call."""
    return OpenAI()


@td.trainable_prompt(role="system prompt of the model that counts")
def task() -> str:
    """Say what to do and in which form to reply."""
    return "Count the things that the user asks about. End with a line of the form: Answer: <number>"


@td.functional_node
def last_number(reply: str) -> str:
    """Return the last number in the reply, or nothing."""
    numbers = re.findall(r"\d+", reply)
    return numbers[-1] if numbers else ""


def program(question: str) -> str:
    """Return how many things there are, as digits."""
    completion = client().chat.completions.create(
        model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "gpt-4o-mini"),
        messages=[{"role": "system", "content": task()}, {"role": "user", "content": question}],
        temperature=0,
    )
    return last_number(completion.choices[0].message.content or "")


def metric(prediction: str, sample: Mapping[str, str]) -> float:
    """Return 1 for the right number, else 0."""
    return float(prediction == sample["answer"])


def load(path: str | Path) -> list[dict[str, str]]:
    """Return the samples of a JSONL file, or of BIG-Bench Hard's ``object_counting.json``."""
    text = Path(path).read_text(encoding="utf-8")
    if Path(path).suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    examples = json.loads(text)["examples"]
    return [
        {"id": f"bbh-{number}", "question": example["input"], "answer": example["target"]}
        for number, example in enumerate(examples)
    ]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(program(sys.argv[1]))
