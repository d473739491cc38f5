"""A graph that loops: retrieve, let a model grade what was found, rewrite the question if it is no good, answer."""

from typing import TypedDict

from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.prompts import PromptTemplate
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph

model = ChatOpenAI(model="sim", max_retries=0)
GRADE = PromptTemplate.from_template(
    "Does this note help with the question?\nNote: {note}\nQuestion: {question}\nSay yes or no."
)
NOTES = {
    "boiler": "The boiler in the cellar was swept in March by the firm of Ortner.",
    "": "Minutes of the garden club: tulips were bought and the hedge was trimmed.",
}


class State(TypedDict):
    question: str
    note: str
    answer: str


def retrieve(state):
    return {"note": next(note for word, note in NOTES.items() if word in state["question"])}


def useful(state):
    said = model.invoke(GRADE.format(note=state["note"], question=state["question"]))
    return "answer" if "yes" in said.text.lower() else "rewrite"


def rewrite(state):
    said = model.invoke(
        [
            SystemMessage(content="Rewrite the question so that a search by words will find the note."),
            HumanMessage(content=state["question"]),
        ]
    )
    return {"question": said.text}


def answer(state):
    said = model.invoke(f"Use the note to answer.\n\nNote: {state['note']}\nQuestion: {state['question']}")
    return {"answer": said.text}


graph = StateGraph(State)
graph.add_node("retrieve", retrieve)
graph.add_node("rewrite", rewrite)
graph.add_node("answer", answer)
graph.add_edge(START, "retrieve")
graph.add_conditional_edges("retrieve", useful, ["answer", "rewrite"])
graph.add_edge("rewrite", "retrieve")
graph.add_edge("answer", END)
compiled = graph.compile()


def program(question):
    return compiled.invoke({"question": question})["answer"]


INPUTS = ("Who looked after the heating?", "Which company cleaned the furnace?")


def reply(system, said, body):
    if "Rewrite" in system:
        return "In which month did somebody sweep the boiler down there?"
    if "Say yes or no" in said:
        return "yes, it does" if "Ortner" in said else "no, it does not"
    return "A firm called Ortner came by in spring."


EDGES = """
retrieve#0 -> llm#0
retrieve#0 -> retrieve#1
llm#1 -> retrieve#1
retrieve#1 -> llm#2
llm#1 -> llm#2
retrieve#1 -> llm#3
llm#1 -> llm#3
output llm#3
"""
PROMPTS = {"user": "Does this", "system": "Rewrite the"}
