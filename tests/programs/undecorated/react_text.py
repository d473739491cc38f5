"""Thought, action, observation in plain text, with the completions endpoint."""

import re

from openai import OpenAI

client = OpenAI()


def search(query):
    """search: look something up in the encyclopedia, returns a short summary"""
    return LIBRARY[0]


def calculate(expression):
    """calculate: work out an expression in Python syntax"""
    return LIBRARY[1]


LIBRARY = []
TOOLS = {"search": search, "calculate": calculate}

PROMPT = """You run in a loop of Thought, Action, Observation.
At the end of the loop you output an Answer.
Use Thought to describe what you think about the question.
Use Action to run one of the actions available to you, then stop.
Observation will be the result of running that action.

Your available actions are:

{tools}

Example session:

Question: What is the capital of France?
Thought: I should look France up
Action: search: France
Observation: France is a country. The capital is Paris.
Answer: The capital of France is Paris

Question: {question}
"""


def react(question, max_turns=4):
    scratchpad = PROMPT.format(tools="\n".join(f.__doc__ for f in TOOLS.values()), question=question)
    for _ in range(max_turns):
        text = (
            client.completions.create(
                model="gpt-3.5-turbo-instruct", prompt=scratchpad, stop=["Observation:"], max_tokens=256
            )
            .choices[0]
            .text
        )
        scratchpad += text
        match = re.search(r"Action: (\w+): (.*)", text)
        if not match:
            return text.split("Answer:")[-1].strip()
        observation = TOOLS[match[1]](match[2])
        scratchpad += f"\nObservation: {observation}\n"
    raise SystemExit(3)


def main(question, docs):
    LIBRARY[:] = docs
    return react(question)
