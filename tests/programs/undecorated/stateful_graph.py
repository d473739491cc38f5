"""Nodes of a graph that pass a state on: a grader, a rewriter and a writer, in a loop with an exit."""

import json
from typing import TypedDict

from openai import OpenAI

MODEL = "m"
llm = OpenAI()


class State(TypedDict, total=False):
    question: str
    documents: list
    rounds: int
    answer: str


GRADER_PROMPT = (
    "You are a grader who says whether a document helps to answer a question. \n"
    "Here is the document: \n\n {context} \n\n"
    "Here is the question of the user: {question} \n"
    "If the document has a keyword or the sense of the question, it helps. \n"
    "Give a JSON object with one key, 'helps', that is 'yes' or 'no'."
)

REWRITE_PROMPT = (
    "Look at the question and think about what is really meant by it.\n"
    "Here is the question as it was asked:"
    "\n ------- \n"
    "{question}"
    "\n ------- \n"
    "Write a better one:"
)


def invoke(prompt, system=None, **kwargs):
    messages = ([{"role": "developer", "content": system}] if system else []) + [{"role": "user", "content": prompt}]
    return llm.chat.completions.create(model=MODEL, messages=messages, **kwargs).choices[0].message.content


def grade(state: State) -> str:
    helps = []
    for document in state["documents"]:
        said = invoke(GRADER_PROMPT.format(context=document, question=state["question"]))
        helps.append(json.loads(said)["helps"] == "yes")
    return "write" if any(helps) or state["rounds"] > 0 else "rewrite"


def rewrite(state: State) -> State:
    return {**state, "question": invoke(REWRITE_PROMPT.format(**state)), "rounds": state["rounds"] + 1}


def write(state: State) -> State:
    context = "\n\n".join(state["documents"])
    system = "You are an assistant for questions about a house and its garden. Use three sentences at most."
    return {**state, "answer": invoke(f"Question: {state['question']} \nContext: {context}", system)}


def main(question, docs):
    state: State = {"question": question, "documents": docs[:2], "rounds": 0}
    while grade(state) == "rewrite":
        state = rewrite(state)
    return write(state)["answer"]
