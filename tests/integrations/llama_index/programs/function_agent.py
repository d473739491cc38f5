"""An agent that calls tools, one of which searches."""

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from tests.integrations.langchain.world import call

llm = OpenAILike(model="sim", is_chat_model=True, is_function_calling_model=True, context_window=8000, max_retries=0)


def find_orchard(village: str) -> str:
    """Find the orchard of a village and what grows in it."""
    return f"The orchard of {village} has forty pear trees and a row of quinces."


def price(fruit: str, baskets: int) -> str:
    """Say what some baskets of a fruit cost."""
    return f"{baskets} baskets of {fruit} come to {baskets * 3} florins at market."


agent = FunctionAgent(
    tools=[FunctionTool.from_defaults(find_orchard), FunctionTool.from_defaults(price)],
    llm=llm,
    system_prompt="You buy fruit for a monastery kitchen. Look up the orchard first, then its price.",
)
INPUTS = ("Buy from Altdorf.", "Buy from Neudorf.")


async def aprogram(order):
    return str(await agent.run(order))


def reply(system, said, body):
    if "florins" in said:
        return "Ordered: two loads for six coins."
    if "orchard of" in said:
        return [call("price", 2, fruit="pear", baskets=2)]
    return [call("find_orchard", 1, village=said.split()[2].strip("."))]


EDGES = """
llm#0 -> find_orchard#0
find_orchard#0 -> llm#1
llm#0 -> llm#1
llm#1 -> price#0
llm#0 -> llm#2
find_orchard#0 -> llm#2
llm#1 -> llm#2
price#0 -> llm#2
output llm#2
"""
PROMPTS = {"system": "You buy fruit"}
