"""Prompts with {{VARIABLES}} in capitals that are put in by replace, and answers read from tags."""

import re

import anthropic

client = anthropic.Anthropic()

TRIAGE = """You will be given a letter to an insurer. Decide which department has to read it.

<letter>
{{LETTER}}
</letter>

The departments are:
<departments>
{{DEPARTMENTS}}
</departments>

Think about what the writer wants in <scratchpad> tags, then name one department in <department> tags.
If the letter is no letter at all, write <department>none</department>."""

REPLY = """Here is a letter that the department of {{DEPARTMENT}} has received:

<letter>
{{LETTER}}
</letter>

Write the reply. Thank the writer in your first sentence, promise nothing, and close without a greeting."""


def fill(template: str, **variables: str) -> str:
    for name, value in variables.items():
        template = template.replace("{{" + name.upper() + "}}", value)
    return template


def complete(prompt: str, prefill: str = "") -> str:
    messages = [{"role": "user", "content": prompt}]
    if prefill:
        messages.append({"role": "assistant", "content": prefill})
    answer = client.messages.create(model="claude", max_tokens=500, messages=messages)
    return prefill + answer.content[0].text


def between(text: str, tag: str) -> str:
    found = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return found.group(1).strip() if found else ""


def main(question, docs):
    letter = "\n".join(docs)
    sorted_to = complete(fill(TRIAGE, letter=letter, departments="\n".join(question.split())), "<scratchpad>")
    department = between(sorted_to, "department")
    return complete(fill(REPLY, letter=letter, department=department))
