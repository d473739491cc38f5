"""Agents that hand a customer over to one another, each with instructions and tools of its own."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from openai import OpenAI

client = OpenAI()


@dataclass
class Agent:
    name: str
    instructions: str | Callable[[dict], str] = "You are a helpful agent."
    functions: list = field(default_factory=list)
    model: str = "gpt-4o-mini"


def function_to_json(func):
    kinds = {str: "string", int: "integer", bool: "boolean"}
    properties = {
        name: {"type": kinds.get(p.annotation, "string")} for name, p in inspect.signature(func).parameters.items()
    }
    return {
        "type": "function",
        "function": {
            "name": func.__name__,
            "description": func.__doc__ or "",
            "parameters": {"type": "object", "properties": properties, "required": list(properties)},
        },
    }


def transfer_to_refunds():
    """Hand the customer over to the refunds desk when they want money back."""
    return refunds_agent


def transfer_to_repairs():
    """Hand the customer over to the workshop when a device has to be mended."""
    return repairs_agent


def look_up_order(order_id: str):
    """Find an order by the number that the customer gave.
    Ask for the number before calling this.
    """
    return f"{order_id}"


def refund_instructions(context):
    return f"""You work at the refunds desk of an online shop.
The customer's file says: {context["file"]}
Check the order before you promise anything, and offer store credit first."""


triage_agent = Agent(
    name="Triage",
    instructions="You are the first to greet a customer. Find out what they need, "
    "then hand them over to the right desk. Never solve the problem yourself.",
    functions=[transfer_to_refunds, transfer_to_repairs],
)
refunds_agent = Agent(name="Refunds", instructions=refund_instructions, functions=[look_up_order])
repairs_agent = Agent(name="Repairs")
repairs_agent.instructions = (
    "You run the workshop. Ask which device is broken and since when. "
    + "If it is still under warranty, book a courier; otherwise quote a price."
)


def run(agent, messages, context, max_turns=6):
    history = list(messages)
    for _ in range(max_turns):
        instructions = agent.instructions(context) if callable(agent.instructions) else agent.instructions
        tools = [function_to_json(f) for f in agent.functions]
        params = {"tools": tools, "parallel_tool_calls": False} if tools else {}
        reply = client.chat.completions.create(
            model=agent.model, messages=[{"role": "system", "content": instructions}] + history, **params
        )
        message = reply.choices[0].message
        history.append({"role": "assistant", "content": message.content, "tool_calls": message.tool_calls or None})
        if not message.tool_calls:
            return message.content
        for call in message.tool_calls:
            func = {f.__name__: f for f in agent.functions}[call.function.name]
            result = func(**json.loads(call.function.arguments))
            if isinstance(result, Agent):
                agent = result
                result = json.dumps({"assistant": agent.name})
            history.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return history[-1]["content"]


def main(question, docs):
    first = run(triage_agent, [{"role": "user", "content": question}], {"file": docs[0]})
    second = run(repairs_agent, [{"role": "user", "content": docs[1]}], {"file": docs[0]})
    return first + second
