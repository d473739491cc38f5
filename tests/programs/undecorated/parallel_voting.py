"""Several reviewers vote at the same time; the majority decides."""

import asyncio
from collections import Counter

from openai import AsyncOpenAI

REVIEW = (
    "Act as a careful reviewer of code snippets.\n"
    "Look only for this kind of defect: {aspect}.\n"
    'Answer with the single word "yes" if it is there, or with "no" if it is not.'
)
ASPECTS = ["injection of commands", "secrets in the code", "endless loops"]


async def vote(client, snippet, aspect):
    done = await client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": REVIEW.format(aspect=aspect)},
            {"role": "user", "content": f"```\n{snippet}\n```"},
        ],
        max_tokens=3,
    )
    return done.choices[0].message.content.strip().lower().rstrip(".")


async def explain(client, snippet, votes):
    done = await client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {
                "role": "user",
                "content": f"Reviewers found {votes['yes']} defects in the snippet below. "
                f"Explain to its author, in two sentences, what to look at first.\n\n{snippet}",
            }
        ],
    )
    return done.choices[0].message.content


async def main(question, docs):
    client = AsyncOpenAI()
    votes = Counter(await asyncio.gather(*(vote(client, question, aspect) for aspect in ASPECTS)))
    return await explain(client, question, votes)
