"""A query engine over a retriever and a postprocessor of the user's, with a prompt of two slots."""

from llama_index.core import PromptTemplate
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.llms.openai_like import OpenAILike

RIVERS = {
    "danube": "The Danube rises in the Black Forest and passes ten countries before the sea.",
    "rhine": "Barges on the Rhine carry more freight than those on any other river here.",
    "elbe": "Sandstone cliffs stand above the Elbe where hikers climb in summer.",
}


class Shelf(BaseRetriever):
    """Finds by name, and one passage too many."""

    def _retrieve(self, query_bundle):
        asked = query_bundle.query_str.lower()
        return [
            NodeWithScore(node=TextNode(text=text, id_=name), score=1.0 if name in asked else 0.2)
            for name, text in RIVERS.items()
            if name in asked or name == "elbe"
        ]


class Sure(BaseNodePostprocessor):
    """Keeps what is likely."""

    def _postprocess_nodes(self, nodes, query_bundle=None):
        return [node for node in nodes if node.score > 0.5]


llm = OpenAILike(model="sim", is_chat_model=True, context_window=8000, max_retries=0)
PROMPT = PromptTemplate(
    "You answer questions on rivers from these passages alone.\n"
    "Passages:\n{context_str}\n"
    "Please answer in one short sentence: {query_str}"
)
engine = RetrieverQueryEngine.from_args(
    Shelf(),
    response_synthesizer=get_response_synthesizer(llm=llm, text_qa_template=PROMPT),
    node_postprocessors=[Sure()],
)
INPUTS = ("Where does the Danube rise?", "What do people ship along the Rhine?")


def program(question):
    return str(engine.query(question))


async def aprogram(question):
    return str(await engine.aquery(question))


def reply(system, said, body):
    return "It springs from wooded hills in the southwest." if "Danube" in said else "Mostly coal, ore and grain."


EDGES = """
Shelf.retrieve#0 -> Sure.postprocess_nodes#0
Sure.postprocess_nodes#0 -> llm#0
output llm#0
"""
PROMPTS = {"user": "You answer"}
SLOTS = {"You answer": ("context_str", "query_str")}
