"""A supervisor that hands work to two agents and ends when it has what it needs."""

from typing import Literal

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command

from tests.integrations.langchain.world import call

model = ChatOpenAI(model="sim", max_retries=0)
LEAD = "You lead a team of two: researcher and writer. Say who goes on, or FINISH."


@tool
def archive(topic: str) -> str:
    """Search the archive of the town for old papers on a topic."""
    return f"Paper 17 on {topic}: it was built of larch wood in a single winter"


researcher = create_agent(model, [archive], system_prompt="You dig facts out of the archive. Facts only, no style.")
writer = create_agent(model, [], system_prompt="You turn facts into one elegant sentence for visitors.")


def lead(state: MessagesState) -> Command[Literal["researcher", "writer", "__end__"]]:
    said = model.invoke([SystemMessage(content=LEAD), *state["messages"]]).text
    return Command(goto="__end__" if said == "FINISH" else said)


def as_node(agent, name):
    def node(state: MessagesState) -> Command[Literal["lead"]]:
        found = agent.invoke(state)["messages"][-1].text
        return Command(goto="lead", update={"messages": [HumanMessage(content=found)]})

    node.__name__ = name
    return node


graph = StateGraph(MessagesState)
graph.add_node("lead", lead)
graph.add_node("researcher", as_node(researcher, "researcher"))
graph.add_node("writer", as_node(writer, "writer"))
graph.add_edge(START, "lead")
compiled = graph.compile()


def program(task):
    return compiled.invoke({"messages": [("user", task)]})["messages"][-1].text


INPUTS = ("Tell me of the covered bridge in our town", "Tell me of the old mill by the weir")


def reply(system, said, body):
    if "You lead a team" in system:
        return "FINISH" if "graceful" in said else "writer" if "solid" in said else "researcher"
    if "dig facts" in system:
        return (
            "Records agree: solid timber, raised within months."
            if "Paper 17" in said
            else [call("archive", topic="the thing asked for")]
        )
    return "A graceful work that carpenters finished before the thaw."


EDGES = """
llm#1 -> archive#0
archive#0 -> llm#2
llm#1 -> llm#2
llm#2 -> llm#3
llm#2 -> llm#4
llm#2 -> llm#5
llm#4 -> llm#5
output llm#4
"""
PROMPTS = {"system": "You dig"}
