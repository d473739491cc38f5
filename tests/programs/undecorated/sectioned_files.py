"""Prompt files with a header and a section for each role, split by the program."""

import pathlib
import re

from openai import OpenAI

HERE = pathlib.Path(__file__).parent / "sections"


def load(name):
    """Returns role -> template of one file."""
    text = (HERE / name).read_text(encoding="utf-8")
    text = re.sub(r"\A---.*?---\n", "", text, flags=re.DOTALL)
    pieces = re.split(r"^(?:# )?(system|user):?$", text, flags=re.MULTILINE | re.IGNORECASE)
    return {role.lower(): body.strip() for role, body in zip(pieces[1::2], pieces[2::2])}


def ask(client, template, **values):
    messages = []
    for role, text in template.items():
        for name, value in values.items():
            text = text.replace("{{" + name + "}}", value).replace("{" + name + "}", value)
        messages.append({"role": role, "content": text})
    return client.chat.completions.create(model="m", messages=messages).choices[0].message.content


def main(question, docs):
    client = OpenAI()
    letter = "\n".join([question, *docs])
    office = ask(client, load("sort.prompty"), letter=letter)
    return ask(client, load("answer.md"), office=office, letter=letter)
