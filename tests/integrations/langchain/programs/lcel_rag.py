"""Retrieval, a parser, and a prompt with two slots."""

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnablePassthrough
from langchain_openai import ChatOpenAI

RIVERS = {
    "danube": "The Danube rises in the Black Forest and passes ten countries before the sea.",
    "rhine": "Barges on the Rhine carry more freight than those on any other river here.",
}


class Shelf(BaseRetriever):
    """Finds by name."""

    def _get_relevant_documents(self, query, *, run_manager):
        found = [name for name in RIVERS if name in query.lower()]
        return [Document(page_content=RIVERS[name], metadata={"source": name}) for name in found]


def joined(documents):
    return "\n\n".join(document.page_content for document in documents)


PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "You answer questions on rivers from the passages alone.\nPassages:\n{context}"),
        ("human", "Please answer in one short sentence: {question}"),
    ]
)
program = (
    {"context": Shelf() | joined, "question": RunnablePassthrough()}
    | PROMPT
    | ChatOpenAI(model="sim", max_retries=0)
    | StrOutputParser()
)
INPUTS = ("Where does the Danube rise?", "What do people ship along the Rhine?")


def reply(system, said, body):
    return "It springs from wooded hills in the southwest." if "Danube" in said else "Mostly coal, ore and grain."


EDGES = """
Shelf#0 -> joined#0
joined#0 -> llm#0
llm#0 -> StrOutputParser#0
output StrOutputParser#0
"""
PROMPTS = {"system": "You answer", "user": "Please answer"}
