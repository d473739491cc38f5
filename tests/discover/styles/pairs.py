"""Messages as pairs of role and text."""

from openai import OpenAI


def ask(*pairs):
    with OpenAI() as client:
        messages = [{"role": role, "content": text} for role, text in pairs]
        return client.chat.completions.create(model="m", messages=messages).choices[0].message.content


def program(question, docs):
    return ask(
        ("system", "Say which of the papers settles the matter."),
        ("user", f"The matter is this: {question}\nThese are the papers, one after the other: {'; '.join(docs)}"),
    )
