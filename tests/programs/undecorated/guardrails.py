"""A guard before and a moderator after the answer, running beside each other."""

import asyncio

from openai import AsyncOpenAI

client = AsyncOpenAI()

system_prompt = "You are a helpful assistant who knows all about house pets."


async def get_chat_response(user_request):
    messages = [{"role": "system", "content": system_prompt}, {"role": "user", "content": user_request}]
    response = await client.chat.completions.create(model="gpt-4o-mini", messages=messages, temperature=0.5)
    return response.choices[0].message.content


async def topical_guardrail(user_request):
    messages = [
        {
            "role": "system",
            "content": "Your role is to assess whether the user question is allowed or not. "
            "The allowed topics are cats and dogs. If the topic is allowed, say 'allowed' otherwise say 'not_allowed'",
        },
        {"role": "user", "content": user_request},
    ]
    response = await client.chat.completions.create(model="gpt-4o-mini", messages=messages, temperature=0)
    return response.choices[0].message.content


domain = "advice about pets"
criteria = "breeds that are recommended"
steps = """1. Read the content and the criteria with care.
2. Give a score from 1 to 5, where 1 means no advice and 5 means clear advice on a breed."""


async def moderation_guardrail(chat_response):
    mod_messages = [
        {
            "role": "user",
            "content": f"""You are a moderation assistant. Your role is to find content about {domain} in the text below.

## {domain.upper()}

### Criteria
{criteria}

### Instructions
{steps}

### Content
{chat_response}

### Evaluation (score only!)
""",
        }
    ]
    response = await client.chat.completions.create(model="gpt-4o-mini", messages=mod_messages, temperature=0)
    return response.choices[0].message.content


async def execute(user_request):
    guard = asyncio.create_task(topical_guardrail(user_request))
    answer = asyncio.create_task(get_chat_response(user_request))
    await asyncio.wait([guard, answer])
    if guard.result() == "not_allowed":
        return "I can only talk about cats and dogs."
    score = await moderation_guardrail(answer.result())
    return answer.result() if int(score) < 3 else "Sorry, I can't give advice on breeds."


async def main(question, docs):
    return [await execute(text) for text in (question, *docs)]
