"""Declared and undeclared prompts side by side."""

from openai import OpenAI

import tracediff as td

SAME = "You count the things that the user asks about, one by one."


@td.trainable_prompt
def task():
    return "You count the things that the user asks about, one by one."


def program(question, docs):
    done = OpenAI().chat.completions.create(
        model="m",
        messages=[
            {"role": "system", "content": task()},
            {"role": "user", "content": f"Count what is asked for in this sentence: {question}"},
        ],
    )
    return done.choices[0].message.content
