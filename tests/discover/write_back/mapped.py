"""Fields by name and number, in a dictionary of prompts, and a JSON file beside the program."""

import json
from pathlib import Path

from openai import OpenAI

PROMPTS = {
    "system": "You sort mail for the town hall and reply with the name of one office.",
    "user": "The %(kind)s reads as follows, 100%% verbatim:\n%(text)s\nWhich office is it for?",
    "again": "Earlier you have said {0!s:>3}, and the note was {1}. Say {{office}} or say why not.",
}
MORE = json.loads((Path(__file__).parent / "mapped.json").read_text())


def program(question, docs):
    client = OpenAI()

    def ask(*messages):
        done = client.chat.completions.create(
            model="m", messages=[{"role": role, "content": text} for role, text in messages]
        )
        return done.choices[0].message.content

    said = ask(("system", PROMPTS["system"]), ("user", PROMPTS["user"] % {"kind": docs[0], "text": question}))
    said = ask(("system", MORE["second"]["system"]), ("user", PROMPTS["again"].format(said, docs[1])))
    return said
