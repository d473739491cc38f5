"""A bot with a policy that is read from an enumeration, memory of the customer, and tools made from functions."""

import enum
import inspect
import json

from openai import OpenAI


class Tone(enum.Enum):
    CALM = "Stay calm whatever the customer writes, and never answer in capitals."
    BRISK = "Answer briskly: the customer is standing at the counter."


def find_order(number: str) -> str:
    """Looks an order up by its number and returns what was bought and where it is now."""
    return f"{number}: on its way"


def refund(number: str, reason: str) -> str:
    """Pays the money for an order back. Only after the customer has agreed to it in writing."""
    return "paid back"


def schema(function):
    names = list(inspect.signature(function).parameters)
    return {
        "type": "function",
        "function": {
            "name": function.__name__,
            "description": inspect.getdoc(function),
            "parameters": {"type": "object", "properties": {n: {"type": "string"} for n in names}, "required": names},
        },
    }


class Bot:
    functions = {f.__name__: f for f in (find_order, refund)}

    def __init__(self, tone, facts):
        self.client = OpenAI()
        self.system = f"""
        You answer the letters of customers of a bookshop.

        {tone.value}

        What is known of this customer:
        {chr(10).join("- " + fact for fact in facts)}

        Ask for the number of the order if it is missing.
        """
        self.messages = [{"role": "system", "content": inspect.cleandoc(self.system)}]

    def say(self, text):
        self.messages.append({"role": "user", "content": text})
        while True:
            message = (
                self.client.chat.completions.create(
                    model="m", messages=self.messages, tools=[schema(f) for f in self.functions.values()]
                )
                .choices[0]
                .message
            )
            self.messages.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                return message.content
            for call in message.tool_calls:
                result = self.functions[call.function.name](**json.loads(call.function.arguments))
                self.messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def main(question, docs):
    first = Bot(Tone.CALM, docs[:2])
    return first.say(question), Bot(Tone.BRISK, docs[1:]).say(question)
