"""Roles, goals and tasks in YAML, JSON and TOML."""

import json
import tomllib
from pathlib import Path

import yaml
from openai import OpenAI

CONFIG = Path(__file__).parent / "config"


class CrewAgent:
    def __init__(self, spec, inputs):
        self.role, self.goal, self.backstory = (spec[key].format(**inputs) for key in ("role", "goal", "backstory"))

    def system(self):
        return (
            f"You are {self.role.strip()}. {self.backstory}\n"
            f"Your personal goal is: {self.goal}\n"
            "To give your final answer, use the exact format:\n\nFinal Answer: the answer, complete and nothing else"
        )

    def work(self, client, task, context=""):
        prompt = f"\nCurrent Task: {task}\n"
        if context:
            prompt += f"\nThis is the context you are working with:\n{context}\n"
        prompt += "\nBegin! Your job depends on it."
        messages = [{"role": "system", "content": self.system()}, {"role": "user", "content": prompt}]
        return client.chat.completions.create(model="m", messages=messages).choices[0].message.content


def main(question, docs):
    agents = yaml.safe_load((CONFIG / "agents.yaml").read_text(encoding="utf-8"))
    tasks = json.loads((CONFIG / "tasks.json").read_text(encoding="utf-8"))
    settings = tomllib.loads((CONFIG / "settings.toml").read_text(encoding="utf-8"))
    client, inputs = OpenAI(), {"topic": question, "year": docs[0]}
    choice = client.chat.completions.create(
        model=settings["model"],
        messages=[{"role": "system", "content": settings["manager"]["system"]}, {"role": "user", "content": question}],
    )
    found = CrewAgent(agents["researcher"], inputs).work(client, tasks["research"].format(**inputs))
    report = CrewAgent(agents["writer"], inputs).work(client, "\n".join(tasks["write"]), context=found)
    return (choice.choices[0].message.content or "") + report
