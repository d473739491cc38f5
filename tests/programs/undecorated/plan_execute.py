"""A planner writes steps, an executor works on each, a third prompt puts the results together."""

import json

from openai import OpenAI

PLANNER = """\
You break a goal down into steps.

Goal: %(goal)s

Answer with JSON of the form {"steps": ["first step", "second step"]} and nothing else.
Use no more than %(limit)d steps."""

EXECUTOR = (
    "You carry out one step of a longer plan.\n"
    "Plan:\n%s\n\n"
    "What was found so far:\n%s\n\n"
    "Carry out only this step now: %s"
)


class PlanAndExecute:
    def __init__(self, model="gpt-4o", limit=4):
        self.client = OpenAI()
        self.model = model
        self.limit = limit

    def ask(self, prompt, **kwargs):
        reply = self.client.chat.completions.create(
            model=self.model, messages=[{"role": "user", "content": prompt}], **kwargs
        )
        return reply.choices[0].message.content

    def plan(self, goal):
        answer = self.ask(PLANNER % {"goal": goal, "limit": self.limit}, response_format={"type": "json_object"})
        return json.loads(answer)["steps"]

    def execute(self, steps):
        results = []
        for step in steps:
            numbered = "\n".join(f"{i}. {s}" for i, s in enumerate(steps, 1))
            found = "\n".join(results) or "Nothing yet."
            results.append(self.ask(EXECUTOR % (numbered, found, step)))
        return results

    def conclude(self, goal, results):
        prompt = "Someone asked for this: " + goal + "\n\nHere is what the steps brought:\n"
        for result in results:
            prompt += f"- result of a step: {result}\n"
        prompt += "\nWrite the final answer for them in one paragraph."
        return self.ask(prompt, temperature=0)


def main(question, docs):
    agent = PlanAndExecute()
    steps = agent.plan(question)
    return agent.conclude(question, agent.execute(steps))
