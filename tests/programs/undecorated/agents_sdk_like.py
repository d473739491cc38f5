"""A manager who uses other agents as tools, with the responses API and output types."""

import json
from dataclasses import dataclass, field

from openai import OpenAI


@dataclass
class Agent:
    name: str
    instructions: str = ""
    handoff_description: str = ""
    tools: list = field(default_factory=list)
    model: str = "gpt-4.1"

    def as_tool(self, tool_name, tool_description):
        schema = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
        return {
            "agent": self,
            "schema": {"type": "function", "name": tool_name, "description": tool_description, "parameters": schema},
        }


class Runner:
    client = OpenAI()

    @classmethod
    def run(cls, agent, text):
        items = [{"role": "user", "content": text}]
        while True:
            response = cls.client.responses.create(
                model=agent.model,
                instructions=agent.instructions,
                input=items,
                tools=[tool["schema"] for tool in agent.tools],
            )
            calls = [item for item in response.output if item.type == "function_call"]
            if not calls:
                return response.output_text
            for call in calls:
                items.append(
                    {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
                )
                tool = next(t for t in agent.tools if t["schema"]["name"] == call.name)
                output = cls.run(tool["agent"], json.loads(call.arguments)["input"])
                items.append({"type": "function_call_output", "call_id": call.call_id, "output": output})


spanish_agent = Agent(
    name="spanish_agent",
    instructions="You translate the user's message to Spanish",
    handoff_description="An english to spanish translator",
)
french_agent = Agent(name="french_agent", instructions="You translate the user's message to French")

orchestrator = Agent(
    name="orchestrator_agent",
    instructions=(
        "You are a translation agent. You use the tools given to you to translate. "
        "If asked for several translations, you call the relevant tools in order. "
        "You never translate on your own, you always use the provided tools."
    ),
    tools=[
        spanish_agent.as_tool("translate_to_spanish", "Translate the user's message to Spanish with the Spanish agent"),
        french_agent.as_tool("translate_to_french", "Translate the user's message to French with the French agent"),
    ],
)
synthesizer = Agent(
    name="synthesizer_agent",
    instructions="You inspect translations, correct them if needed, and produce a final concatenated response.",
)


def main(question, docs):
    result = Runner.run(orchestrator, question)
    return Runner.run(synthesizer, result)
