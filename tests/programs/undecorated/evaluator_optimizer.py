"""One model writes, another judges, until the judge is content."""

import re

from anthropic import Anthropic

client = Anthropic()

generator_prompt = """
Your task is to write what <user input> asks for. If there is feedback on earlier attempts, use it to do better.

Give your answer in this form:

<thoughts>
[What you understood of the task and the feedback]
</thoughts>

<response>
[Your text]
</response>
"""

evaluator_prompt = """
Judge the following text for:
1. accuracy
2. tone
3. length

You only judge; do not try to solve the task yourself.
Say "PASS" only when there is nothing left to improve.

<evaluation>PASS, NEEDS_IMPROVEMENT, or FAIL</evaluation>
<feedback>
What has to be improved, and why.
</feedback>
"""


def llm_call(prompt, system_prompt=""):
    message = client.messages.create(
        model="claude-sonnet",
        max_tokens=1024,
        system=system_prompt,
        messages=[{"role": "user", "content": prompt}],
    )
    return message.content[0].text


def extract_xml(text, tag):
    match = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return match.group(1).strip() if match else ""


def generate(prompt, task, context=""):
    full_prompt = f"{prompt}\n{context}\nTask: {task}" if context else f"{prompt}\nTask: {task}"
    return extract_xml(llm_call(full_prompt), "response")


def evaluate(prompt, content, task):
    full_prompt = f"{prompt}\nOriginal task: {task}\nText to judge: {content}"
    response = llm_call(full_prompt)
    return extract_xml(response, "evaluation"), extract_xml(response, "feedback")


def loop(task):
    memory = []
    result = generate(generator_prompt, task)
    memory.append(result)
    while True:
        evaluation, feedback = evaluate(evaluator_prompt, result, task)
        if evaluation == "PASS":
            return result
        context = "\n".join(["Previous attempts:", *[f"- {m}" for m in memory], f"\nFeedback: {feedback}"])
        result = generate(generator_prompt, task, context)
        memory.append(result)


def main(question, docs):
    return loop(question)
