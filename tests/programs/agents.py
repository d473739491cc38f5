"""Programs that decide and act: tools, plans, routes, votes."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import tracediff as td


@td.trainable_prompt(name="react.system")
def react_system() -> str:
    return "Answer the question with the tools lookup[term] and calc[expression]. Write Thought, Action, and at the end Finish[answer]."


@td.functional_node(kind="llm", name="react.think")
def think(prompt: str) -> str:
    if "Observation 2" in prompt:
        return "Thought: The sum is known now.\nAction: Finish[The two towers are 654 metres high together]"
    if "Observation 1" in prompt:
        return "Thought: I add the height of the other tower, 330.\nAction: calc[324 + 330]"
    return "Thought: I need the height of the first tower.\nAction: lookup[height of the Eiffel Tower]"


@td.functional_node(kind="tool", name="react.lookup")
def lookup(term: str) -> str:
    return "The iron lattice tower on the Champ de Mars measures 324 m to its tip."


@td.functional_node(kind="tool", name="react.calc")
def calc(expression: str) -> str:
    return "654"


def react_loop():
    question = "How high are the Eiffel Tower and its taller copy together?"
    transcript = f"{react_system()}\n\nQuestion: {question}\n"
    for step in range(1, 5):
        reply = think(transcript)
        name, _, argument = reply.split("Action: ")[1].partition("[")
        argument = argument.rstrip("]")
        if name == "Finish":
            return argument
        tool = {"lookup": lookup, "calc": calc}[name]
        transcript += f"{reply}\nObservation {step}: {tool(argument)}\n"
    return "gave up"


REACT_LOOP = """
react.system#0 -> react.think#0
react.think#0 -> react.lookup#0
react.system#0 -> react.think#1
react.think#0 -> react.think#1
react.lookup#0 -> react.think#1
react.think#1 -> react.calc#0
react.system#0 -> react.think#2
react.think#0 -> react.think#2
react.lookup#0 -> react.think#2
react.think#1 -> react.think#2
react.calc#0 -> react.think#2
output react.think#2
"""


@td.functional_node(kind="llm", name="fc.chat")
def chat(messages: list[dict], tools: list[dict]) -> dict:
    if messages[-1]["role"] == "tool":
        return {
            "role": "assistant",
            "content": "Take an umbrella: showers are likely in Bergen after lunch.",
            "tool_calls": None,
        }
    call = {"name": "forecast", "arguments": json.dumps({"city": "Bergen", "day": "tomorrow"})}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_8fe2", "type": "function", "function": call}],
    }


@td.functional_node(kind="tool", name="fc.forecast")
def forecast(city: str, day: str) -> dict:
    return {"morning": "dry with sunny spells", "afternoon": "showers likely, wind from the west"}


def function_calling():
    tools = [{"type": "function", "function": {"name": "forecast", "parameters": {"city": "string", "day": "string"}}}]
    messages = [{"role": "user", "content": "Do I need an umbrella on my trip?"}]
    while True:
        reply = chat(messages, tools)
        messages = [*messages, reply]
        if not reply["tool_calls"]:
            return reply["content"]
        for call in reply["tool_calls"]:
            result = forecast(**json.loads(call["function"]["arguments"]))
            messages = [*messages, {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)}]


FUNCTION_CALLING = """
fc.chat#0 -> fc.forecast#0
fc.chat#0 -> fc.chat#1
fc.forecast#0 -> fc.chat#1
output fc.chat#1
"""


@td.trainable_prompt(name="route.prompt")
def route_prompt(message: str) -> str:
    return f"Which team handles this message: billing, shipping or returns? Reply with one word.\nMessage: {message}"


@td.functional_node(kind="llm", name="route.classify")
def classify(prompt: str) -> str:
    return "shipping"


@td.functional_node(kind="llm", name="route.reply")
def reply_as(team: str, message: str) -> str:
    return "Your parcel left our warehouse on Monday and should reach you within two days."


@td.functional_node(kind="llm", name="route.polish")
def polish(prompt: str) -> str:
    return "Good news! Your parcel is on its way and should be with you in two days at most."


def router():
    message = "I ordered a lamp ten days ago and it still has not arrived."
    team = classify(route_prompt(message)).strip().lower()
    draft = reply_as(team, message)
    return polish(f"Make this reply from our {team} team friendlier without new promises:\n\n{draft}")


ROUTER = """
route.prompt#0 -> route.classify#0
route.classify#0 -> route.reply#0
route.classify#0 -> route.polish#0
route.reply#0 -> route.polish#0
output route.polish#0
"""


@td.trainable_prompt(name="vote.prompt")
def vote_prompt(question: str) -> str:
    return f"Solve the puzzle step by step. End with a line 'Answer: <number>'.\n\n{question}"


@td.functional_node(kind="llm", name="vote.solve")
def solve(prompt: str, sample: int) -> str:
    return [
        "There are three boxes of four, which makes twelve.\nAnswer: 12",
        "Four and four and four again is twelve in all.\nAnswer: 12",
        "I count three boxes and four pens, so seven things.\nAnswer: 7",
    ][sample]


@td.functional_node(name="vote.majority")
def majority(answers: list[str]) -> str:
    return Counter(answers).most_common(1)[0][0]


def self_consistency():
    prompt = vote_prompt("Three boxes hold four pens each. How many pens are there?")
    answers = [solve(prompt, sample).rsplit("Answer:", 1)[1].strip() for sample in range(3)]
    return majority(answers)


SELF_CONSISTENCY = """
vote.prompt#0 -> vote.solve#0
vote.prompt#0 -> vote.solve#1
vote.prompt#0 -> vote.solve#2
vote.solve#0 -> vote.majority#0
vote.solve#1 -> vote.majority#0
vote.solve#2 -> vote.majority#0
output vote.majority#0
"""


@td.trainable_prompt(name="plan.prompt")
def plan_prompt(goal: str) -> str:
    return f"Break the goal into three short tasks, one a line, numbered.\nGoal: {goal}"


@td.functional_node(kind="llm", name="plan.plan")
def plan(prompt: str) -> str:
    return "1. List the rooms that need paint\n2. Compare the prices of three painters\n3. Draft a schedule for the two weeks"


@td.functional_node(kind="llm", name="plan.work")
def work(task: str, goal: str) -> str:
    if "rooms" in task:
        return "The hall, the kitchen and the small bedroom need paint."
    if "prices" in task:
        return "Farbwerk asks 1,900, Malermax 2,150 and Pinsel & Co 2,400."
    return "Week one covers hall and kitchen; the bedroom follows on Monday of week two."


@td.functional_node(kind="llm", name="plan.merge")
def merge(prompt: str) -> str:
    return "Hire Farbwerk: three rooms in eight working days for 1,900."


def planner_and_workers():
    goal = "Have the flat painted before the end of May"
    lines = plan(plan_prompt(goal)).splitlines()
    tasks = [line.split(". ", 1)[1] for line in lines]
    with ThreadPoolExecutor(max_workers=1) as pool:
        results = list(pool.map(lambda task: work(task, goal), tasks))
    report = "\n".join(f"- {task}: {result}" for task, result in zip(tasks, results))
    return merge(f"Goal: {goal}\n\nWhat the workers found:\n{report}\n\nWrite the recommendation.")


PLANNER_AND_WORKERS = """
plan.prompt#0 -> plan.plan#0
plan.plan#0 -> plan.work#0
plan.plan#0 -> plan.work#1
plan.plan#0 -> plan.work#2
plan.plan#0 -> plan.merge#0
plan.work#0 -> plan.merge#0
plan.work#1 -> plan.merge#0
plan.work#2 -> plan.merge#0
output plan.merge#0
"""

PROGRAMS = [
    (react_loop, REACT_LOOP),
    (function_calling, FUNCTION_CALLING),
    (router, ROUTER),
    (self_consistency, SELF_CONSISTENCY),
    (planner_and_workers, PLANNER_AND_WORKERS),
]
