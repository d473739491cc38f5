"""Steps as small functions in a pipe, prompts made by lambdas and by a decorator of the author's own."""

import functools

from openai import OpenAI

client = OpenAI()


def prompt(system):
    """Makes a function that returns the user's turn into one that asks the model."""

    def wrap(function):
        @functools.wraps(function)
        def ask(*args, **kwargs):
            completion = client.chat.completions.create(
                model="m",
                messages=[
                    {"role": "system", "content": system},
                    {"role": "user", "content": function(*args, **kwargs)},
                ],
            )
            return completion.choices[0].message.content

        return ask

    return wrap


@prompt("You turn a customer's question into a query for a catalogue of spare parts.")
def query(question):
    return "\n".join(["The customer asks:", question, "Write nothing but the query."])


@prompt("You pick parts from a catalogue. Be strict: a part that nearly fits does not fit.")
def pick(question, hits):
    listing = "\n".join(f"({number}) {hit}" for number, hit in enumerate(hits))
    return f"""Question: {question}

Hits from the catalogue:
{listing}

Name the numbers of those that fit, and why the others don't."""


ANSWER = lambda question, parts: (  # noqa: E731
    f"A colleague has picked these parts for a customer:\n{parts}\n"
    + "Write to the customer. "
    + f"The question was: {question}"
)

answer = prompt("You are the voice of the spare parts desk: two sentences, no small talk.")(ANSWER)


def pipe(value, *steps):
    return functools.reduce(lambda so_far, step: step(so_far), steps, value)


def main(question, docs):
    return pipe(
        question,
        query,
        lambda found: pick(question, [found, *docs]),
        lambda parts: answer(question, parts),
    )
