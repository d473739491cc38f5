"""An agent that writes code: a Jinja system prompt with its tools, and steps that are appended to a memory."""

import textwrap
from dataclasses import dataclass, field

from jinja2 import StrictUndefined, Template
from openai import OpenAI

PROMPTS = {
    "system": textwrap.dedent(
        """\
        You solve tasks by writing short programs, one block of code a turn.
        State what you are about to do before every block, then stop and wait for what it prints.

        These are the only functions that you may call:
        {%- for tool in tools %}
        - {{ tool.name }}: {{ tool.description }}
        {%- endfor %}

        {%- if team %}
        You can also hand a part of the work to a member of your team:
        {%- for name in team %}
        - {{ name }}
        {%- endfor %}
        {%- endif %}

        Never make up the output of a program. When you know the answer, call final_answer with it.
        """
    ),
    "task": "New task, to be solved from scratch:\n{{ task }}",
    "final": {
        "pre": "An agent got stuck on the task below. Read its memory and answer in its place.",
        "post": "Answer the task now, as well as the memory allows:\n{{ task }}",
    },
}


@dataclass
class Tool:
    name: str
    description: str


def populate(template, **variables):
    return Template(template, undefined=StrictUndefined).render(**variables)


@dataclass
class CodeAgent:
    tools: list
    client: OpenAI = field(default_factory=OpenAI)
    memory: list = field(default_factory=list)
    max_steps: int = 2

    def ask(self, messages):
        return self.client.chat.completions.create(model="m", messages=messages).choices[0].message.content

    def run(self, task):
        self.memory = [
            {"role": "system", "content": populate(PROMPTS["system"], tools=self.tools, team=[])},
            {"role": "user", "content": [{"type": "text", "text": populate(PROMPTS["task"], task=task)}]},
        ]
        for number in range(self.max_steps):
            said = self.ask(self.memory)
            if "final_answer" in said:
                return said
            self.memory.append({"role": "assistant", "content": said})
            self.memory.append({"role": "user", "content": f"Observation {number}:\n{said[:20]}"})
        return self.provide_final_answer(task)

    def provide_final_answer(self, task):
        messages = [{"role": "system", "content": PROMPTS["final"]["pre"]}]
        messages += [turn for turn in self.memory[2:] if turn["role"] == "assistant"]
        messages.append({"role": "user", "content": populate(PROMPTS["final"]["post"], task=task)})
        return self.ask(messages)


def main(question, docs):
    agent = CodeAgent(
        [
            Tool("read_page", "Returns the text of a page of the handbook, given its number."),
            Tool("final_answer", "Ends the task with the answer that is given to it."),
        ]
    )
    return agent.run(question)
