"""A chat engine with memory: the second turn is condensed to a question that stands alone."""

from llama_index.core.chat_engine import CondensePlusContextChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.llms.openai_like import OpenAILike

llm = OpenAILike(model="sim", is_chat_model=True, context_window=8000, max_retries=0)


class Cellar(BaseRetriever):
    def _retrieve(self, query_bundle):
        text = "The red casks are from the slope above the chapel, pressed four years ago."
        return [NodeWithScore(node=TextNode(text=text), score=1.0)]


CONTEXT = """The cellar book says:
{context_str}
You are the cellarer; answer guests kindly and never promise more than the book has."""
CONDENSE = """Turn a guest's last words into one question that stands alone.
What was said before:
{chat_history}
The guest's last words: {question}
The question:"""


def chat():
    return CondensePlusContextChatEngine.from_defaults(
        retriever=Cellar(),
        llm=llm,
        memory=ChatMemoryBuffer.from_defaults(token_limit=3000, llm=llm),
        context_prompt=CONTEXT,
        condense_prompt=CONDENSE,
    )


INPUTS = (("Which casks do you have?", "And how old are they?"), ("What is red here?", "From where is it?"))


def program(turns):
    engine = chat()
    return [engine.chat(turn).response for turn in turns][-1]


async def aprogram(turns):
    engine = chat()
    return [(await engine.achat(turn)).response for turn in turns][-1]


def reply(system, said, body):
    if "The question:" in said:
        return "What age have those red barrels reached?"
    return "They were filled some years back." if "red barrels" in said else "Only red ones, from a hillside."


EDGES = """
Cellar.retrieve#0 -> llm#0
llm#0 -> llm#1
llm#1 -> Cellar.retrieve#1
llm#0 -> llm#2
Cellar.retrieve#1 -> llm#2
output llm#2
"""
PROMPTS = {"context": "The cellar book says", "condense": "Turn a guest's last words"}
SLOTS = {"The cellar book": ("context_str",), "Turn a guest": ("chat_history", "question")}
