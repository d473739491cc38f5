"""A question is taken apart by a model, each part goes to an engine of its own, and the parts are put together."""

from llama_index.core import PromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import QueryEngineTool
from llama_index.llms.openai_like import OpenAILike

llm = OpenAILike(model="sim", is_chat_model=True, context_window=8000, max_retries=0)
STOCK = {
    "tools": "The shed holds four spades, a scythe and one good saw.",
    "seeds": "There are beans for six rows and barley for one small field.",
}


class Stock(BaseRetriever):
    def __init__(self, what):
        super().__init__()
        self.what = what

    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=TextNode(text=STOCK[self.what]), score=1.0)]


ONE = PromptTemplate("The farm's list says: {context_str}\nTell the farmer, in few words: {query_str}")
ALL = PromptTemplate("What the lists gave:\n{context_str}\nNow settle the farmer's question: {query_str}")


def engine_of(what):
    return RetrieverQueryEngine.from_args(
        Stock(what), response_synthesizer=get_response_synthesizer(llm=llm, text_qa_template=ONE)
    )


engine = SubQuestionQueryEngine.from_defaults(
    [
        QueryEngineTool.from_defaults(engine_of("tools"), name="tools", description="What tools the farm has"),
        QueryEngineTool.from_defaults(engine_of("seeds"), name="seeds", description="What seeds the farm has"),
    ],
    llm=llm,
    question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
    response_synthesizer=get_response_synthesizer(llm=llm, text_qa_template=ALL),
    use_async=False,
    verbose=False,
)
INPUTS = ("Can we sow beans this week?", "Can we cut and thresh barley?")


def program(question):
    return str(engine.query(question))


async def aprogram(question):
    return str(await engine.aquery(question))


def reply(system, said, body):
    if "The farm's list says" in said:
        return "Spades enough, yes." if "spades" in said else "Six rows of beans."
    if "What the lists gave" in said:
        return "Yes: dig and sow before rain comes."
    return (
        '```json\n{"items": [{"sub_question": "Which digging implements exist?", "tool_name": "tools"},'
        ' {"sub_question": "How many rows can be planted?", "tool_name": "seeds"}]}\n```'
    )


EDGES = """
llm#0 -> SubQuestionOutputParser.parse#0
SubQuestionOutputParser.parse#0 -> Stock.retrieve#0
SubQuestionOutputParser.parse#0 -> Stock.retrieve#1
SubQuestionOutputParser.parse#0 -> llm#1
SubQuestionOutputParser.parse#0 -> llm#2
SubQuestionOutputParser.parse#0 -> llm#3
Stock.retrieve#0 -> llm#1
Stock.retrieve#1 -> llm#2
llm#1 -> llm#3
llm#2 -> llm#3
output llm#3
"""
PROMPTS = {"one": "The farm's list says", "all": "What the lists gave"}
SLOTS = {"The farm's list": ("context_str", "query_str"), "What the lists": ("context_str", "query_str")}
