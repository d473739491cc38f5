"""Texts put together side by side and by sums, over several lines, in both kinds of quotes."""

from openai import OpenAI

SYSTEM = 'You are a guide for visitors of a small museum. Never say "I do not know".\nKeep every answer short.\n'


def program(question, docs):
    user = "Notes of the guide:\n" + "; ".join(docs) + "\n\nThe visitor asks this:\n" + question
    done = OpenAI().chat.completions.create(
        model="m",
        messages=[
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": user},
            {"role": "assistant", "content": "Of course."},
            {"role": "user", "content": "go on"},
        ],
    )
    return done.choices[0].message.content
