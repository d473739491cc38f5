"""An orchestrator splits a task, workers write their parts at the same time."""

import re
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

from anthropic import Anthropic

ORCHESTRATOR = """
    Look at this task and find two or three different ways to approach it:

    Task: {task}

    Return your answer in this format:

    <analysis>
    What the task is about, and which ways would be useful.
    </analysis>

    <tasks>
        <task>
        <type>formal</type>
        <description>Write a precise, technical version</description>
        </task>
    </tasks>
"""

WORKER = """
    Write a text for this task: {original_task}
    Style: {task_type}
    Guidelines: {task_description}

    Return only your text in this format:

    <response>
    Your text here, in the style that was asked for.
    </response>
"""


def parse_tasks(xml):
    found = []
    for block in re.findall(r"<task>(.*?)</task>", xml, re.DOTALL):
        fields = dict(re.findall(r"<(type|description)>(.*?)</\1>", block, re.DOTALL))
        found.append({key: value.strip() for key, value in fields.items()})
    return found


class FlexibleOrchestrator:
    def __init__(self, orchestrator_prompt, worker_prompt):
        self.orchestrator_prompt = orchestrator_prompt
        self.worker_prompt = worker_prompt
        self.client = Anthropic()

    def _format(self, template, **kwargs):
        try:
            return dedent(template).strip().format(**kwargs)
        except KeyError as e:
            raise ValueError(f"Missing required variable: {e}") from e

    def _call(self, prompt):
        reply = self.client.messages.create(
            model="claude-haiku", max_tokens=500, messages=[{"role": "user", "content": prompt}]
        )
        return "".join(block.text for block in reply.content if block.type == "text")

    def process(self, task):
        plan = self._call(self._format(self.orchestrator_prompt, task=task))
        tasks = parse_tasks(plan)
        prompts = [
            self._format(self.worker_prompt, original_task=task, task_type=t["type"], task_description=t["description"])
            for t in tasks
        ]
        with ThreadPoolExecutor(max_workers=3) as pool:
            return list(pool.map(self._call, prompts))


def main(question, docs):
    return "\n".join(FlexibleOrchestrator(ORCHESTRATOR, WORKER).process(question))
