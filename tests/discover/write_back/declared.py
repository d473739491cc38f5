"""Prompts that the program declares, in each form."""

from openai import OpenAI

import tracediff as td

CLOSE = td.trainable_prompt('Close with {wish}, as {"json": 1}.', name="write_back.close")


@td.trainable_prompt(name="write_back.opening")
def opening(question, docs):
    """How the letter begins."""
    return f"Write a letter about {question} to {docs[0]}.\n"


@td.trainable_prompt(name="write_back.rules")
def rules():
    return """Use short sentences.
Never use the word "very"."""


@td.trainable_prompt(name="write_back.facts")
def facts(docs):
    return "These facts {{must}} be in it: {}. Nothing else of {last!r}.".format("; ".join(docs), last=docs[-1])


def program(question, docs):
    user = opening(question, docs) + facts(docs) + CLOSE(wish=docs[1])
    done = OpenAI().chat.completions.create(
        model="m", messages=[{"role": "system", "content": rules()}, {"role": "user", "content": user}]
    )
    return done.choices[0].message.content
