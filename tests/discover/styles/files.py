"""A text file and a Jinja template beside the program, and the responses API."""

from pathlib import Path

import jinja2
from openai import OpenAI

FOLDER = Path(__file__).parent / "prompts"


def program(question, docs):
    client = OpenAI()
    instructions = (FOLDER / "answer.txt").read_text().replace("{facts}", "; ".join(docs))
    answer = client.responses.create(model="m", instructions=instructions, input=question).output_text
    judge = jinja2.Template((FOLDER / "judge.j2").read_text()).render(
        question=question, answer=answer, docs=docs, strict=True
    )
    return client.responses.create(model="m", input=[{"role": "user", "content": judge}]).output_text
