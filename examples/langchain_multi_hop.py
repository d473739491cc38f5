"""Multi-hop retrieval in LangChain: a query chain called twice, a retriever, an answer. Nothing of tracediff here.

Settings come from the environment: OPENAI_API_KEY, OPENAI_BASE_URL (any compatible server), TRACEDIFF_EXAMPLE_MODEL,
and TRACEDIFF_EXAMPLE_CORPUS, see hotpot.py.

    python examples/langchain_multi_hop.py "Were Scott Derrickson and Ed Wood of the same nationality?"
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from langchain_openai import ChatOpenAI

sys.path.append(str(Path(__file__).parent))  # from wherever this file is loaded
from hotpot import exact as metric
from hotpot import load, paragraphs

__all__ = ["load", "metric", "program"]

QUERY = ChatPromptTemplate.from_template(
    """Write one search query for the next fact that the question needs and that is not found yet.
End with a line of the form: Query: <search query>
<question>{question}</question>
<found>
{found}
</found>"""
)
ANSWER = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer the question from the passages. Be brief."),
        (
            "user",
            """End with a line of the form: Answer: <answer>
<question>{question}</question>
<passages>
{passages}
</passages>""",
        ),
    ]
)


class Paragraphs(BaseRetriever):
    """HotPotQA's paragraphs as a retriever."""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:  # noqa: ARG002
        return [Document(page_content=text) for text in paragraphs().search(query)]


def texts(documents: list[Document]) -> str:
    """Return the paragraphs, each once, in order."""
    return "\n".join(dict.fromkeys(document.page_content for document in documents))


def found_so_far(state: dict[str, Any]) -> str:
    """Return what the next query may build on."""
    return texts(state.get("first", [])) or "(nothing yet)"


def passages(state: dict[str, Any]) -> str:
    """Return what the answer is taken from."""
    return texts(state["first"] + state["second"])


def query_in(reply: str) -> str:
    """Return the query that a reply gives."""
    return reply.rpartition("Query:")[2].strip()


def answer_in(reply: str) -> str:
    """Return the answer that a reply gives."""
    return reply.rpartition("Answer:")[2].strip()


@functools.cache
def chain() -> Runnable[dict[str, Any], str]:
    """Return the whole program, made once."""
    model = ChatOpenAI(model=os.environ.get("TRACEDIFF_EXAMPLE_MODEL", "gpt-4o-mini"), temperature=0)
    search = (
        RunnablePassthrough.assign(found=RunnableLambda(found_so_far))
        | QUERY
        | model
        | StrOutputParser()
        | RunnableLambda(query_in)
        | Paragraphs()
    )
    return (
        RunnablePassthrough.assign(first=search)
        | RunnablePassthrough.assign(second=search)
        | RunnablePassthrough.assign(passages=RunnableLambda(passages))
        | ANSWER
        | model
        | StrOutputParser()
        | RunnableLambda(answer_in)
    )


def program(question: str) -> str:
    """Return a short answer from the paragraphs."""
    return chain().invoke({"question": question})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(program(sys.argv[1]))
