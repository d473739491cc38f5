"""A router with branches, one of which tries a second model when the first fails."""

from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableBranch, RunnableLambda, RunnablePassthrough
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="sim", max_retries=0)
SORT = ChatPromptTemplate.from_template(
    'Sort the letter as "praise" or "complaint" and say why.\nAnswer as JSON with the keys kind and reason.\n\n{letter}'
)
THANK = ChatPromptTemplate.from_template("Thank the guest warmly. The letter: {letter}")
SOOTHE = ChatPromptTemplate.from_messages(
    [("system", "You are patient with angry guests of a hotel."), ("human", "Guest: {letter}\nCause: {reason}")]
)


def broken(prompt):
    raise ConnectionError("the first model is away")


def carried(given):
    return {"letter": given["letter"], **given["sorted"]}


soothe = SOOTHE | RunnableLambda(broken).with_fallbacks([model]) | StrOutputParser()
thank = THANK | model | StrOutputParser()
program = (
    RunnablePassthrough.assign(sorted=SORT | model | JsonOutputParser())
    | RunnableLambda(carried)
    | RunnableBranch((lambda given: given["kind"] == "praise", thank), soothe)
)
INPUTS = ({"letter": "The soup was cold and nobody cared at all"}, {"letter": "Such a lovely terrace above the lake"})


def reply(system, said, body):
    if "Sort the letter" in said:
        if "soup" in said:
            return '{"kind": "complaint", "reason": "kitchen sends lukewarm dishes"}'
        return '{"kind": "praise", "reason": "view over water delights"}'
    return "We beg your pardon and shall do better." if "patient" in system else "You are most kind, do come again."


EDGES = """
llm#0 -> JsonOutputParser#0
JsonOutputParser#0 -> carried#0
carried#0 -> RunnableLambda#0
carried#0 -> llm#1
carried#0 -> broken#0
llm#1 -> StrOutputParser#0
output StrOutputParser#0
"""
PROMPTS = {"user": "Sort the", "system": "You are"}
