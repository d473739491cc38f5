"""Prompts in a script that puts no space between words."""

from openai import OpenAI

client = OpenAI()

SYSTEM = "你是一位耐心的物理老师，只回答与物理有关的问题。"

LESSON = """请用初学者能懂的话，根据以下要点写一段讲解：
{points}

学生的问题是：{question}
最后请出一道练习题。"""


def ask(prompt):
    turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]
    return client.chat.completions.create(model="m", messages=turns).choices[0].message.content


def main(question, docs):
    points = ask(f"为下面的主题列出三个要点：{docs[0]}")
    return ask(LESSON.format(points=points, question=question))
