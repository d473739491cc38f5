"""A selector names the team, whose own prompt answers."""

import re

from openai import OpenAI

client = OpenAI()

support_routes = {
    "billing": """You are a billing support specialist. Follow these rules:
    1. Begin with "Billing Support:"
    2. First acknowledge the charge in question
    3. Explain every fee in plain words

    Keep it friendly but short.

    Input: """,
    "technical": """You are an engineer in technical support. Follow these rules:
    1. Begin with "Technical Support:"
    2. List the exact steps that solve the problem
    3. Say what the system needs

    Use numbered steps.

    Input: """,
    "account": """You look after the safety of accounts. Follow these rules:
    1. Begin with "Account Support:"
    2. Put the safety of the account first

    Input: """,
}


def call(prompt):
    done = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}])
    return done.choices[0].message.content


def route(input, routes):
    selector_prompt = f"""
    Read the input and choose the team from these options: {list(routes.keys())}
    First explain your reasoning, then give your choice in this XML format:

    <reasoning>
    Why this ticket belongs to one team and not to another.
    </reasoning>

    <selection>
    The name of the team
    </selection>

    Input: {input}""".strip()
    answer = call(selector_prompt)
    key = re.search(r"<selection>\s*(\w+)\s*</selection>", answer).group(1).lower()
    return call(f"{routes[key]}\nInput: {input}")


def main(question, docs):
    return "\n".join(route(ticket, support_routes) for ticket in [question, *docs[:2]])
