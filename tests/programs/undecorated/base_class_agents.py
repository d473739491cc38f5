"""Agents as subclasses: prompts as class attributes, a shared preamble in the base, %-formatting."""

import asyncio

from openai import AsyncOpenAI


class BaseAgent:
    PREAMBLE = "You work for a small museum and write for visitors who have ten minutes.\n"
    INSTRUCTIONS = ""
    TEMPLATE = "%(text)s"

    def __init__(self, client):
        self.client = client

    @property
    def system(self):
        return self.PREAMBLE + self.INSTRUCTIONS

    async def __call__(self, **values):
        response = await self.client.chat.completions.create(
            model="m",
            messages=[
                dict(role="system", content=self.system),
                dict(role="user", content=self.TEMPLATE % values),
            ],
        )
        return response.choices[0].message.content.strip()


class Label(BaseAgent):
    INSTRUCTIONS = "Write the label that hangs beside an object: forty words, no dates, 100%% true."
    TEMPLATE = "The curator's note on the object:\n%(note)s\n\nWhat the label must mention: %(must)s"


class Guide(BaseAgent):
    INSTRUCTIONS = "Join labels into a walk through the room. Say where to turn, and what to look at first."
    TEMPLATE = "Labels, in the order of the room:\n\n%(labels)s"


class Child(Guide):
    INSTRUCTIONS = Guide.INSTRUCTIONS + " The reader is seven years old and likes riddles."


async def main(question, docs):
    client = AsyncOpenAI()
    label = Label(client)
    labels = await asyncio.gather(*(label(note=doc, must=question) for doc in docs))
    joined = "\n---\n".join(labels)
    return await asyncio.gather(Guide(client)(labels=joined), Child(client)(labels=joined))
