"""Agents as objects with role, goal and rules; a base class writes the prompts."""

import json

from openai import OpenAI


class BaseAgent:
    model = "gpt-4o-mini"
    name = "agent"
    description = ""

    def __init__(self, client):
        self.client = client
        self.memory = []

    def system_prompt(self):
        return f"You are {self.name}, {self.description}.\n\nWhat you did before:\n{self.recall()}"

    def recall(self):
        return "\n".join(self.memory[-3:]) or "(nothing)"

    def chat(self, content):
        answer = (
            self.client.chat.completions.create(
                model=self.model,
                messages=[{"role": "system", "content": self.system_prompt()}, {"role": "user", "content": content}],
            )
            .choices[0]
            .message.content
        )
        self.memory.append(answer)
        return answer


class Reporter(BaseAgent):
    name = "Rita"
    description = "a reporter who collects facts from witnesses and never adds any of her own"

    def report(self, event, witnesses):
        content = f"Write up the event: {event}."
        for witness in witnesses:
            content += f"\nA witness said: {witness}"
        return self.chat(content)


class Editor(BaseAgent):
    name = "Edgar"
    description = "an editor with a sharp pencil who hates adjectives"

    def system_prompt(self):
        return super().system_prompt() + "\nReply with a JSON object: " + json.dumps({"headline": "...", "text": "..."})

    def edit(self, draft):
        return json.loads(self.chat("Shorten this draft by half:\n\n" + draft))


class Critic(BaseAgent):
    def __init__(self, client, severity):
        super().__init__(client)
        self.name = "Carla"
        self.description = f"a critic of {severity} severity who reads everything twice"

    def judge(self, article):
        return self.chat("Headline: {headline}\nText: {text}\n\nIs it fit to print?".format(**article))


def main(question, docs):
    client = OpenAI()
    reporter, editor = Reporter(client), Editor(client)
    article = editor.edit(reporter.report(question, docs))
    editor.edit(reporter.report(docs[0], docs[1:]))
    return Critic(client, docs[0]).judge(article)
