"""string.Template, plus a sum that grows line by line, sent by an async client."""

import string

from openai import AsyncOpenAI

TEMPLATE = string.Template("Translate the $kind below into plain English:\n$text\nKeep every name as it is.")


async def program(question, docs):
    async with AsyncOpenAI() as client:
        prompt = "You will be given a piece of writing.\n"
        prompt += TEMPLATE.substitute(kind=docs[0], text=question)
        if len(docs) > 1:
            prompt += f"\nThe writer has said this about it: {docs[1]}"
        done = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}])
        return done.choices[0].message.content
