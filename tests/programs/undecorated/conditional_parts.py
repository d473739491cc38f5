"""A system prompt put together from parts, some of them optional."""

from openai import OpenAI

BASE = "You are the assistant of a travel agency."
GUIDELINES = [
    "Always state prices in euros.",
    "Recommend trains where a trip takes less than six hours.",
    "Never book anything without an explicit yes.",
]


def format_list(items):
    return "\n".join(f"{n}. {item}" for n, item in enumerate(items, 1))


def build_system_prompt(*, name=None, history=(), is_member=False, language="en"):
    parts = [BASE]
    if name:
        parts.append(f"The customer's name is {name}; use it once.")
    if is_member:
        parts.append("The customer is a member: mention the discount of ten percent.")
    else:
        parts.append("The customer is not a member yet. Do not mention discounts.")
    parts.append("# Guidelines\n" + format_list(GUIDELINES))
    if history:
        parts.append("# Earlier trips\n" + "\n".join("- " + trip for trip in history))
    if language != "en":
        parts.append("Answer in the language of the customer, which is " + language + ".")
    return "\n\n".join(parts)


def advise(request, **about):
    done = OpenAI().chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "system", "content": build_system_prompt(**about)},
            {"role": "user", "content": request},
        ],
    )
    return done.choices[0].message.content


def main(question, docs):
    return [
        advise(question),
        advise(question, name=docs[0], is_member=True),
        advise(docs[1], history=docs, language=docs[0]),
    ]
