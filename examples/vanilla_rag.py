"""Vanilla retrieval: the question finds paragraphs, the model answers from them. Nothing of tracediff in this file.

Settings come from the environment: OPENAI_API_KEY, OPENAI_BASE_URL (any compatible server), TRACEDIFF_EXAMPLE_MODEL,
and TRACEDIFF_EXAMPLE_CORPUS, see hotpot.py.

    python examples/vanilla_rag.py "Which county is Haddon Hall in?"
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from openai import OpenAI

sys.path.append(str(Path(__file__).parent))  # from wherever this file is loaded
from hotpot import exact as metric
from hotpot import load, paragraphs

__all__ = ["load", "metric", "program"]

SYSTEM = "You answer questions from passages that a search has found. Be brief."
QUESTION = """Answer with a name, a date or a few words. End with a line of the form: Answer: <answer>
<question>{question}</question>
<passages>
{passages}
</passages>"""


@functools.cache
def client() -> OpenAI:
    """Return the one client of this process: making one takes longer than a call."""
    return OpenAI()


def program(question: str) -> str:
    """Return a short answer from the paragraphs."""
    passages = "\n".join(paragraphs().search(question, k=3))
    completion = client().chat.completions.create(
        model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "gpt-4o-mini"),
        messages=[
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": QUESTION.format(question=question, passages=passages)},
        ],
        temperature=0,
    )
    return (completion.choices[0].message.content or "").rpartition("Answer:")[2].strip()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(program(sys.argv[1]))
