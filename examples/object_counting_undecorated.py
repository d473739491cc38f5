"""The program of object_counting.py with its two decorators taken away: nothing of tracediff in this file.

python examples/object_counting_undecorated.py "I have a fig, two pears, and a lamp. How many fruits do I have?"
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Mapping

from openai import OpenAI

TASK = "Count the things that the user asks about. End with a line of the form: Answer: <number>"


@functools.cache
def client() -> OpenAI:
    """Return the one client of this process: making one takes longer than a call."""
    return OpenAI()


def program(question: str) -> str:
    """Return how many things there are, as digits."""
    completion = client().chat.completions.create(
        model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "gpt-4o-mini"),
        messages=[{"role": "system", "content": TASK}, {"role": "user", "content": question}],
        temperature=0,
    )
    numbers = re.findall(r"\d+", completion.choices[0].message.content or "")
    return numbers[-1] if numbers else ""


def metric(prediction: str, sample: Mapping[str, str]) -> float:
    """Return 1 for the right number, else 0."""
    return float(prediction == sample["answer"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(program(sys.argv[1]))
