"""Object counting as anybody would write it: nothing of tracediff."""

import functools
import os
import re

from openai import OpenAI

TASK = "Count the things that the user asks about. End with a line of the form: Answer: <number>"


@functools.cache
def client():
    return OpenAI()


def program(question):
    completion = client().chat.completions.create(
        model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "sim-solver"),
        messages=[{"role": "system", "content": TASK}, {"role": "user", "content": question}],
        temperature=0,
    )
    numbers = re.findall(r"\d+", completion.choices[0].message.content or "")
    return numbers[-1] if numbers else ""


def metric(prediction, sample):
    return float(prediction == sample["answer"])
