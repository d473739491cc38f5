"""A class attribute and a loop of two calls, with percent formatting."""

from openai import OpenAI


class Agent:
    """Keeps its prompts."""

    persona = "You are a patient teacher of young children. Use short words."
    step = "Explain the following to a child, as a story about %s:\n%s"

    def __init__(self, hero):
        self.hero = hero
        self.client = OpenAI()

    def run(self, question):
        text = question
        for _ in range(2):
            done = self.client.chat.completions.create(
                model="m",
                messages=[
                    {"role": "system", "content": self.persona},
                    {"role": "user", "content": self.step % (self.hero, text)},
                ],
            )
            text = done.choices[0].message.content
        return text


def program(question, docs):
    return Agent(docs[0]).run(question)
