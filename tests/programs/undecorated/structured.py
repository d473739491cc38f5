"""Structured outputs by pydantic classes, with the schema in the prompt once."""

import json

from openai import OpenAI
from pydantic import BaseModel, Field

client = OpenAI()

MATH_TUTOR = """
    You are a helpful math tutor. You will be given a problem,
    and your goal is to show each step of its solution, with an explanation.
    For each step, give the equation as its output.
"""


class Step(BaseModel):
    explanation: str = Field(description="why this step is taken")
    output: str


class MathReasoning(BaseModel):
    steps: list[Step]
    final_answer: str


class Verdict(BaseModel):
    """What a checker says."""

    is_right: bool
    comment: str


def solve(question):
    done = client.chat.completions.parse(
        model="gpt-4o",
        messages=[{"role": "system", "content": MATH_TUTOR}, {"role": "user", "content": question}],
        response_format=MathReasoning,
    )
    return done.choices[0].message.parsed


def check(reasoning):
    schema = json.dumps(Verdict.model_json_schema(), indent=2)
    done = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": f"Check the solution of a pupil. Reply with JSON by this schema:\n{schema}"},
            {"role": "user", "content": "Solution:\n" + reasoning.model_dump_json()},
        ],
    )
    return Verdict.model_validate_json(done.choices[0].message.content)


def main(question, docs):
    return check(solve(question)).comment + check(solve(docs[0])).comment
