"""Send: each part of a text is summed up by a call of its own, the sums become one report."""

import operator
from typing import Annotated, TypedDict

from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

model = ChatOpenAI(model="sim", max_retries=0)
SUM = ChatPromptTemplate.from_template("Sum up this part of the log in one line.\n\n{part}") | model
REPORT = ChatPromptTemplate.from_messages(
    [("system", "You write the morning report of a harbour."), ("human", "The parts, one a line:\n{sums}")]
)


class State(TypedDict):
    log: str
    parts: list
    sums: Annotated[list, operator.add]
    report: str


def split(state):
    return {"parts": [part.strip() for part in state["log"].split("---")]}


def spread(state):
    return [Send("sum_up", {"part": part}) for part in state["parts"]]


def sum_up(state):
    return {"sums": [SUM.invoke({"part": state["part"]}).text]}


def report(state):
    return {"report": (REPORT | model).invoke({"sums": "\n".join(state["sums"])}).text}


graph = StateGraph(State)
for node in (split, sum_up, report):
    graph.add_node(node.__name__, node)
graph.add_edge(START, "split")
graph.add_conditional_edges("split", spread, ["sum_up"])
graph.add_edge("sum_up", "report")
graph.add_edge("report", END)
compiled = graph.compile()


def program(log):
    return compiled.invoke({"log": log})["report"]


INPUTS = (
    "Two tugs went out at four in the fog --- A crane driver found a crate without any papers",
    "The ferry from the islands was late once more --- Somebody painted the lighthouse door green",
)


def reply(system, said, body):
    if "morning report" in system:
        return "Traffic as usual, with one oddity worth a look by the master."
    return (
        "tugboats left early despite poor sight"
        if "tugs" in said or "ferry" in said
        else "odd cargo turned up unexplained"
    )


EDGES = """
split#0 -> llm#0
split#0 -> llm#1
llm#0 -> llm#2
llm#1 -> llm#2
output llm#2
"""
PROMPTS = {"user": "Sum up", "system": "You write"}
