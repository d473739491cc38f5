"""Vanilla retrieval as a LlamaIndex query engine over a BM25 retriever. Nothing of tracediff in this file.

Settings come from the environment: OPENAI_API_KEY, OPENAI_BASE_URL (any compatible server), TRACEDIFF_EXAMPLE_MODEL,
and TRACEDIFF_EXAMPLE_CORPUS, see hotpot.py.

    python examples/llama_index_vanilla_rag.py "Which county is Haddon Hall in?"
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from llama_index.core import PromptTemplate
from llama_index.core.base.response.schema import RESPONSE_TYPE
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode, get_response_synthesizer
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.llms.openai_like import OpenAILike

sys.path.append(str(Path(__file__).parent))  # from wherever this file is loaded
from hotpot import exact as metric
from hotpot import load, paragraphs

__all__ = ["load", "metric", "program"]

QUESTION = PromptTemplate(
    """Answer the question from the passages that a search has found. Be brief: a name, a date or a few words.
End with a line of the form: Answer: <answer>
<question>{query_str}</question>
<passages>
{context_str}
</passages>"""
)


class Paragraphs(BaseRetriever):
    """HotPotQA's paragraphs as a retriever."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = paragraphs().search(query_bundle.query_str, k=3)
        return [NodeWithScore(node=TextNode(text=text), score=1.0) for text in found]


@functools.cache
def engine() -> RetrieverQueryEngine:
    """Return the query engine, made once."""
    model = OpenAILike(
        model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "gpt-4o-mini"),
        api_base=os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1"),
        api_key=os.environ["OPENAI_API_KEY"],
        is_chat_model=True,
        context_window=100_000,
        temperature=0,
    )
    synthesizer = get_response_synthesizer(
        llm=model, text_qa_template=QUESTION, response_mode=ResponseMode.SIMPLE_SUMMARIZE
    )
    return RetrieverQueryEngine(Paragraphs(), synthesizer)


def answer_in(response: RESPONSE_TYPE) -> str:
    """Return the answer that a response gives."""
    return str(response).rpartition("Answer:")[2].strip()


def program(question: str) -> str:
    """Return a short answer from the paragraphs."""
    return answer_in(engine().query(question))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(program(sys.argv[1]))
