"""A constant of the module that is filled by format, and one with doubled braces."""

from openai import OpenAI

SYSTEM = "You reply with JSON only, such as a mapping from names to numbers."

ANSWER = """Read the context below and answer the question.
Reply as {{"answer": "..."}} and nothing else.

Context: {context}

Question: {question}
"""


def program(question, docs):
    prompt = ANSWER.format(context=" ".join(docs), question=question)
    done = OpenAI().chat.completions.create(
        model="m",
        messages=[{"role": "developer", "content": SYSTEM}, {"role": "user", "content": prompt.strip()}],
    )
    return done.choices[0].message.content
