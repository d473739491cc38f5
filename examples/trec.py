"""TREC-10: which of six kinds of thing a question asks for. An ordinary program, with nothing of tracediff in it.

Settings come from the environment: OPENAI_API_KEY, OPENAI_BASE_URL (any compatible server), TRACEDIFF_EXAMPLE_MODEL.

    python examples/trec.py "How far is it from Denver to Aspen?"
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from openai import OpenAI

LABELS = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")

TASK = """Classify the question by what its answer would be.
ABBR is an abbreviation, DESC a description, ENTY a thing, HUM a person or group, LOC a place, NUM a number or date.
End with a line of the form: Label: <one of the six>"""


@functools.cache
def client() -> OpenAI:
    """Return the one client of this process: making one takes longer than a call."""
    return OpenAI()


def program(question: str) -> str:
    """Return one of the six labels, or what the model said instead."""
    completion = client().chat.completions.create(
        model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "gpt-4o-mini"),
        messages=[{"role": "system", "content": TASK}, {"role": "user", "content": question}],
        temperature=0,
    )
    reply = completion.choices[0].message.content or ""
    return reply.rpartition("Label:")[2].strip().upper()


def metric(prediction: str, sample: Mapping[str, str]) -> float:
    """Return 1 for the right label, else 0."""
    return float(prediction == sample["answer"])


def load(path: str | Path) -> list[dict[str, str]]:
    """Return the samples of a JSONL file, or of a published ``.label`` file, which is not UTF-8."""
    if Path(path).suffix == ".jsonl":
        return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    samples = []
    for number, line in enumerate(Path(path).read_text(encoding="iso-8859-1").splitlines()):
        label, _, question = line.partition(" ")
        samples.append({"id": f"trec-{number}", "question": question.strip(), "answer": label.partition(":")[0]})
    return samples


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(program(sys.argv[1]))
