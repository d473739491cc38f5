"""A chat of several turns with the anthropic model, history as a placeholder."""

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder

PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "You are the guide of a museum of clocks in {town}."),
        MessagesPlaceholder("history"),
        ("human", "{question}"),
    ]
)
chain = PROMPT | ChatAnthropic(model="sim", max_retries=0) | StrOutputParser()


def program(question):
    first = chain.invoke({"town": "Furtwangen", "history": [], "question": question})
    history = [HumanMessage(content=question), AIMessage(content=first)]
    return chain.invoke({"town": "Furtwangen", "history": history, "question": "And who wound it every day?"})


INPUTS = ("How old is the great clock?", "Who built the cuckoo by the door?")


def reply(system, said, body):
    return "A boy named Anselm did for forty years." if "wound" in said else "Its wheels were cut three centuries ago."


EDGES = """
llm#0 -> StrOutputParser#0
StrOutputParser#0 -> llm#1
llm#1 -> StrOutputParser#1
output StrOutputParser#1
"""
PROMPTS = {"system": "You are"}
