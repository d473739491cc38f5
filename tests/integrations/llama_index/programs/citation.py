"""A citation engine with a citation prompt of the user's."""

from llama_index.core import PromptTemplate
from llama_index.core.query_engine import CitationQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.llms.openai_like import OpenAILike

LAWS = (
    "Whoever finds a lost animal tells the parish within three days.",
    "A bridge is mended by those who live within sight of it.",
)


class Statutes(BaseRetriever):
    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=TextNode(text=text), score=1.0) for text in LAWS]


llm = OpenAILike(model="sim", is_chat_model=True, context_window=8000, max_retries=0)
CITE = PromptTemplate(
    "You are the clerk of a village court. Quote the statutes by their number in brackets.\n"
    "Statutes:\n{context_str}\nThe matter before the court: {query_str}\nYour finding:"
)
engine = CitationQueryEngine(
    retriever=Statutes(), response_synthesizer=get_response_synthesizer(llm=llm, text_qa_template=CITE)
)
INPUTS = ("Whose duty is the broken bridge?", "What does one do with a stray goat?")


def program(matter):
    return str(engine.query(matter))


async def aprogram(matter):
    return str(await engine.aquery(matter))


def reply(system, said, body):
    return "Neighbours repair it together [2]." if "bridge?" in said else "Report it at once [1]."


EDGES = """
Statutes.retrieve#0 -> llm#0
output llm#0
"""
PROMPTS = {"user": "You are the clerk"}
SLOTS = {"You are the clerk": ("context_str", "query_str")}
