"""A model that answers in a form, its fields used one by one."""

from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.runnables import chain
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

from tests.integrations.langchain.world import call


class Ticket(BaseModel):
    """What a customer wrote about."""

    product: str = Field(description="the thing that is broken, as the customer calls it")
    wish: str = Field(description="what the customer asks for")


model = ChatOpenAI(model="sim", max_retries=0)
READ = SystemMessage(content="Read the customer's letter and fill in the form. Leave nothing out.")


def understood(letter):
    reading = model.with_structured_output(Ticket, method="function_calling")
    return reading.invoke([READ, HumanMessage(content=letter)])


@chain
def program(letter):
    ticket = understood(letter)
    draft = model.invoke(
        [
            SystemMessage(content="You write short and friendly answers for a workshop."),
            HumanMessage(content=f"The customer's {ticket.product} is broken. They wish: {ticket.wish}"),
        ]
    )
    return draft.text


INPUTS = (
    "My garden swing creaks like an old ship, could you please send somebody on Friday?",
    "The lid of my bread bin fell off again, may I get another one?",
)


def reply(system, said, body):
    if "friendly" in system:
        return "We are sorry and will be with you before the weekend."
    garden = "swing" in said
    return [
        call(
            "Ticket",
            product="creaky garden swing seat" if garden else "wooden bread bin lid",
            wish="a visit by a fitter on Friday" if garden else "a spare part in the post",
        )
    ]


EDGES = """
llm#0 -> PydanticToolsParser#0
PydanticToolsParser#0 -> llm#1
output llm#1
"""
PROMPTS = {"system": "Read the"}
