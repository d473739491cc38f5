"""Reports that don't fit into one request are summed up until one text is left."""

from llama_index.core import PromptTemplate
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.response_synthesizers import TreeSummarize
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.llms.openai_like import OpenAILike

llm = OpenAILike(model="sim", is_chat_model=True, context_window=8000, max_retries=0)
SUM_UP = PromptTemplate(
    "Reports from the stations:\n{context_str}\nSum them up for the harbour master, who asked: {query_str}"
)
summarize = TreeSummarize(
    llm=llm,
    summary_template=SUM_UP,
    prompt_helper=PromptHelper(context_window=300, num_output=100, chunk_size_limit=60, chunk_overlap_ratio=0.0),
)


def reports(day):
    north = f"On {day} the north station saw fog until noon and then a steady wind from the sea. " * 2
    south = f"On {day} the south station counted nine ships at anchor, two of them waiting for a pilot. " * 2
    return [NodeWithScore(node=TextNode(text=text), score=1.0) for text in (north, south)]


INPUTS = ("Monday", "Friday")


def program(day):
    return str(summarize.synthesize("What must be known before the ships leave?", reports(day)))


async def aprogram(day):
    return str(await summarize.asynthesize("What must be known before the ships leave?", reports(day)))


def reply(system, said, body):
    if "misty" in said:
        return "Leave after midday and mind nine anchored vessels."
    return "A misty morning in the north." if "north" in said else "Nine vessels lie in the south roads."


EDGES = """
llm#0 -> llm#2
llm#1 -> llm#2
output llm#2
"""
PROMPTS = {"user": "Reports from the stations"}
SLOTS = {"Reports from": ("context_str", "query_str")}
