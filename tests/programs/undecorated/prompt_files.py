"""Prompts in text files beside the program."""

from pathlib import Path
from string import Template

from openai import OpenAI

PROMPTS = Path(__file__).parent / "prompts"


def load_prompt(name, **values):
    text = (PROMPTS / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace("{{" + key + "}}", value)
    return text.strip()


def triage(client, sender, letter):
    done = client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "system", "content": load_prompt("triage_system.md")},
            {"role": "user", "content": load_prompt("triage_user.txt", sender=sender, letter=letter)},
        ],
    )
    return done.choices[0].message.content


def reply(client, pile, letter):
    prompt = Template((PROMPTS / "reply.txt").read_text(encoding="utf-8")).substitute(pile=pile, letter=letter)
    done = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
    return done.choices[0].message.content


def main(question, docs):
    client = OpenAI()
    pile = triage(client, docs[0], question)
    return reply(client, pile, question)
