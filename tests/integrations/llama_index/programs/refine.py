"""Refining over three passages: each call gets the answer so far."""

from llama_index.core import PromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.llms.openai_like import OpenAILike

PASSAGES = (
    "Bread was baked in the village oven every second week.",
    "Rye was the common grain, and wheat was kept for feasts.",
    "Millers took a sixteenth of the flour as their wage.",
)


class Pages(BaseRetriever):
    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=TextNode(text=text), score=1.0) for text in PASSAGES]


llm = OpenAILike(model="sim", is_chat_model=True, context_window=8000, max_retries=0)
FIRST = PromptTemplate(
    "A page of a chronicle:\n{context_str}\nAnswer the historian's question from it: {query_str}",
)
THEN = PromptTemplate(
    "The historian asked: {query_str}\nSo far we answered: {existing_answer}\n"
    "Here is one more page of the chronicle:\n{context_msg}\nWrite the answer anew with what the page adds.",
)
engine = RetrieverQueryEngine.from_args(
    Pages(),
    response_synthesizer=get_response_synthesizer(
        llm=llm, response_mode="refine", text_qa_template=FIRST, refine_template=THEN
    ),
)
INPUTS = ("How did the villagers get their bread?", "Who earned what from the grain?")


def program(question):
    return str(engine.query(question))


async def aprogram(question):
    return str(await engine.aquery(question))


def reply(system, said, body):
    if "sixteenth" in said:
        return "They baked rye loaves together and paid the miller in flour."
    return "They shared an oven, mostly for rye loaves." if "Rye" in said else "They shared an oven."


EDGES = """
Pages.retrieve#0 -> llm#0
Pages.retrieve#0 -> llm#1
Pages.retrieve#0 -> llm#2
llm#0 -> llm#1
llm#1 -> llm#2
output llm#2
"""
PROMPTS = {"first": "A page of a chronicle", "then": "The historian asked"}
SLOTS = {
    "A page": ("context_str", "query_str"),
    "The historian asked": ("query_str", "existing_answer", "context_msg"),
}
