"""A Jinja template from a file, and one in the code."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, Template
from openai import OpenAI

env = Environment(loader=FileSystemLoader(Path(__file__).parent / "prompts"), trim_blocks=True, lstrip_blocks=True)
GRADE = Template(
    """You grade answers of pupils.

Question: {{ question }}
Answer: {{ answer }}
{%- if strict %}

Take off a point for each spelling mistake.
{%- endif %}

Give a mark from {{ low }} to {{ high }} and one sentence of praise."""
)


def complete(prompt):
    done = OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}])
    return done.choices[0].message.content


def main(question, docs):
    answer = complete(env.get_template("tutor.j2").render(subject=docs[0], hints=docs[1:], question=question))
    plain = complete(env.get_template("tutor.j2").render(subject=docs[0], hints=[], question=docs[1]))
    marks = [
        complete(GRADE.render(question=question, answer=text, strict=strict, low=1, high=6))
        for text, strict in ((answer, True), (plain, False))
    ]
    return answer + "".join(marks)
