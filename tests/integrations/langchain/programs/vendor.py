"""A model of another vendor, which no patched client calls: it reads what it is told to."""

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

SENT = []


class OtherChat(BaseChatModel):
    @property
    def _llm_type(self):
        return "other-vendor"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        SENT.append([(message.type, message.content) for message in messages])
        text = "three owls in barn rafters" if "List" in messages[0].content else "a quiet night full of eyes"
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])


other = OtherChat()
FIRST = ChatPromptTemplate.from_messages([("system", "List what can be seen in the picture."), ("human", "{picture}")])
THEN = ChatPromptTemplate.from_messages([("system", "Make a title of at most six words."), ("human", "Seen: {seen}")])
program = FIRST | other | StrOutputParser() | (lambda seen: {"seen": seen}) | THEN | other | StrOutputParser()
INPUTS = ({"picture": "picture-of-barn.jpg taken at dusk"}, {"picture": "picture-of-attic.jpg taken at noon"})


def reply(system, said, body):
    raise AssertionError("no client is called")


EDGES = """
llm#0 -> StrOutputParser#0
StrOutputParser#0 -> RunnableLambda#0
RunnableLambda#0 -> llm#1
llm#1 -> StrOutputParser#1
output StrOutputParser#1
"""
PROMPTS = {"system": "List what"}
