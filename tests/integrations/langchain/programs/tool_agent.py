"""An agent with two tools: it looks something up, then reckons with what it found."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from tests.integrations.langchain.world import call


@tool
def stock(item: str) -> str:
    """Look up how many pieces of an item are on the shelves of the warehouse."""
    return f"There are 412 pieces of {item} on shelf nine of hall two"


@tool
def order_cost(pieces: int, item: str) -> str:
    """Reckon what an order of so many pieces of an item costs in all."""
    return f"An order of {pieces} {item} comes to {pieces * 3} crowns with postage"


program = create_agent(
    ChatOpenAI(model="sim", max_retries=0),
    [stock, order_cost],
    system_prompt="You run the counter of a warehouse. Look things up before you promise anything.",
)
INPUTS = (
    {"messages": [("user", "What would all your brass hinges cost me?")]},
    {"messages": [("user", "What would all your oak handles cost me?")]},
)


def reply(system, said, body):
    item = "brass hinges" if "brass" in said else "oak handles"
    if "comes to" in said:
        return f"Taking every last one of our {item} sets you back 1236 crowns."
    if "shelf nine" in said:
        return [call("order_cost", pieces=412, item=item)]
    return [call("stock", item=item)]


EDGES = """
llm#0 -> stock#0
stock#0 -> llm#1
llm#0 -> llm#1
llm#1 -> order_cost#0
stock#0 -> llm#2
llm#0 -> llm#2
llm#1 -> llm#2
order_cost#0 -> llm#2
output llm#0 stock#0 llm#1 order_cost#0 llm#2
"""
PROMPTS = {"system": "You run", "tool": "Look up"}
