"""A ReAct agent: the model's text is parsed, a tool that holds a query engine is called."""

from llama_index.core import PromptTemplate
from llama_index.core.agent.workflow import ReActAgent
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import QueryEngineTool
from llama_index.llms.openai_like import OpenAILike

llm = OpenAILike(model="sim", is_chat_model=True, context_window=8000, max_retries=0)


class Almanac(BaseRetriever):
    def _retrieve(self, query_bundle):
        text = "Frost is rare after the middle of May; before it, cover the young plants at night."
        return [NodeWithScore(node=TextNode(text=text), score=1.0)]


LOOK = PromptTemplate("The almanac has this:\n{context_str}\nSay what it means for: {query_str}")
engine = RetrieverQueryEngine.from_args(
    Almanac(), response_synthesizer=get_response_synthesizer(llm=llm, text_qa_template=LOOK)
)
agent = ReActAgent(
    tools=[QueryEngineTool.from_defaults(engine, name="almanac", description="Weather lore of the region")],
    llm=llm,
    system_prompt="You advise gardeners of a mountain valley and never guess about frost.",
)
INPUTS = ("May I plant beans in April?", "May I plant gourds in April?")


async def aprogram(question):
    return str(await agent.run(question))


def reply(system, said, body):
    if "The almanac has this" in said:
        return "Seedlings need shelter until mid spring nights warm."
    if "Seedlings need" in said:
        return "Thought: I can answer without using any more tools.\nAnswer: Wait, or shelter each row after dusk."
    return (
        'Thought: I need the almanac for that.\nAction: almanac\nAction Input: {"input": "late cold and garden rows"}'
    )


EDGES = """
llm#0 -> ReActOutputParser.parse#0
ReActOutputParser.parse#0 -> Almanac.retrieve#0
ReActOutputParser.parse#0 -> llm#1
Almanac.retrieve#0 -> llm#1
llm#0 -> llm#2
llm#1 -> llm#2
llm#2 -> ReActOutputParser.parse#1
output ReActOutputParser.parse#1
"""
PROMPTS = {"look": "The almanac has this", "system": "You advise gardeners"}
SLOTS = {"The almanac": ("context_str", "query_str")}
