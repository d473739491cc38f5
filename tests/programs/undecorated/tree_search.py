"""Thoughts that are proposed, valued and chosen: many calls with templates as methods' defaults."""

import re

from openai import OpenAI


class Thinker:
    def __init__(self, model="m"):
        self.client, self.model = OpenAI(), model

    def sample(self, prompt, n=1, stop=None):
        made = self.client.completions.create(model=self.model, prompt=prompt, n=n, max_tokens=200, stop=stop)
        return [choice.text for choice in made.choices]

    def propose(
        self,
        problem,
        so_far,
        template="""Here is a problem that is solved step by step.

Problem: {problem}
Steps so far:
{so_far}
Write down what could be a next step, and nothing that comes after it.
Next step:""",
    ):
        return self.sample(template.format(problem=problem, so_far=so_far or "(there are none yet)"), stop=["\n\n"])

    def value(self, problem, step):
        lines = []
        lines.append("Judge whether a step leads anywhere.")
        lines.append(f"The problem is: {problem}")
        lines.append(f"The step is: {step}")
        lines.append("End with a number from 1 to 9, where 9 is certain to lead to the goal.")
        said = self.sample("\n".join(lines))[0]
        found = re.findall(r"\d", said)
        return int(found[-1]) if found else 1

    def conclude(self, problem, steps):
        numbered = "\n".join("{}. {}".format(n, s) for n, s in enumerate(steps, 1))
        return self.sample(
            "Problem: "
            + problem
            + "\n\nThe steps that were found to lead to the goal:\n"
            + numbered
            + "\n\nPut the answer to the problem in one sentence:"
        )[0]


def main(question, docs):
    thinker, steps = Thinker(), []
    for _ in range(2):
        candidates = thinker.propose(question, "\n".join(steps))
        steps.append(max(candidates, key=lambda step: thinker.value(question, step)))
    return thinker.conclude(question, steps)
