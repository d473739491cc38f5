"""Multi-hop retrieval as a LlamaIndex workflow: queries until there are two searches, then an answer.

Nothing of tracediff in this file. Settings come from the environment: OPENAI_API_KEY, OPENAI_BASE_URL (any compatible
server), TRACEDIFF_EXAMPLE_MODEL, and TRACEDIFF_EXAMPLE_CORPUS, see hotpot.py.

    python examples/llama_index_multi_hop.py "Were Scott Derrickson and Ed Wood of the same nationality?"
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from pathlib import Path

from llama_index.core import PromptTemplate
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step
from llama_index.llms.openai_like import OpenAILike

sys.path.append(str(Path(__file__).parent))  # from wherever this file is loaded
from hotpot import exact as metric
from hotpot import load, paragraphs

__all__ = ["load", "metric", "program"]

HOPS = 2
QUERY = PromptTemplate(
    """Write one search query for the next fact that the question needs and that is not found yet.
End with a line of the form: Query: <search query>
<question>{question}</question>
<found>
{found}
</found>"""
)
ANSWER = PromptTemplate(
    """Answer the question from the passages. Be brief. End with a line of the form: Answer: <answer>
<question>{question}</question>
<passages>
{passages}
</passages>"""
)


class Paragraphs(BaseRetriever):
    """HotPotQA's paragraphs as a retriever."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text=text)) for text in paragraphs().search(query_bundle.query_str)]


class Found(Event):
    """What the searches so far have found."""

    question: str
    passages: list[str]
    hop: int


class MultiHop(Workflow):
    """Searches, each with what the earlier ones found, and an answer."""

    def __init__(self, model: OpenAILike) -> None:
        super().__init__(timeout=120)
        self.model = model
        self.retriever = Paragraphs()

    @step
    async def begin(self, event: StartEvent) -> Found:
        """Start with nothing found."""
        return Found(question=event.question, passages=[], hop=0)

    @step
    async def search(self, event: Found) -> Found | StopEvent:
        """Search once more, or answer."""
        if event.hop == HOPS:
            return StopEvent(result=await self.answer(event))
        found = "\n".join(event.passages) or "(nothing yet)"
        reply = await self.model.apredict(QUERY, question=event.question, found=found)
        nodes = await self.retriever.aretrieve(reply.rpartition("Query:")[2].strip())
        passages = dict.fromkeys([*event.passages, *(node.text for node in nodes)])
        return Found(question=event.question, passages=list(passages), hop=event.hop + 1)

    async def answer(self, event: Found) -> str:
        """Return a short answer."""
        reply = await self.model.apredict(ANSWER, question=event.question, passages="\n".join(event.passages))
        return reply.rpartition("Answer:")[2].strip()


@functools.cache
def model() -> OpenAILike:
    """Return the one client of this process."""
    return OpenAILike(
        model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "gpt-4o-mini"),
        api_base=os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1"),
        api_key=os.environ["OPENAI_API_KEY"],
        is_chat_model=True,
        context_window=100_000,
        temperature=0,
    )


async def program(question: str) -> str:
    """Return a short answer from the paragraphs."""
    return str(await MultiHop(model()).run(question=question))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(asyncio.run(program(sys.argv[1])))
