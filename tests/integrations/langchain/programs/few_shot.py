"""Examples before the question, and a parser of lists behind it."""

from langchain_core.output_parsers import CommaSeparatedListOutputParser
from langchain_core.prompts import FewShotPromptTemplate, PromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI

EXAMPLES = [
    {"word": "spoon", "things": "fork, ladle, whisk"},
    {"word": "spruce", "things": "pine, larch, cedar"},
]
PROMPT = FewShotPromptTemplate(
    examples=EXAMPLES,
    example_prompt=PromptTemplate.from_template("Word: {word}\nOf the same kind: {things}"),
    prefix="Name three things of the same kind as the last word.",
    suffix="Word: {word}\nOf the same kind:",
    input_variables=["word"],
)


def ranked(things):
    return " > ".join(sorted(things, key=len))


program = PROMPT | ChatOpenAI(model="sim", max_retries=0) | CommaSeparatedListOutputParser() | RunnableLambda(ranked)
INPUTS = ({"word": "oboe"}, {"word": "trout"})


def reply(system, said, body):
    return "clarinet, bassoon, flute" if "oboe" in said else "salmon, perch, pike"


EDGES = """
llm#0 -> CommaSeparatedListOutputParser#0
CommaSeparatedListOutputParser#0 -> ranked#0
output ranked#0
"""
PROMPTS = {"user": "Name three"}
