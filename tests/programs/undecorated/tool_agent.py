"""A tool loop: the model asks for functions until it can answer."""

import json

from openai import OpenAI

SYSTEM_MESSAGE = (
    "Don't make assumptions about values for the functions. Ask for clarification if a request is ambiguous."
)

tools = [
    {
        "type": "function",
        "function": {
            "name": "get_current_weather",
            "description": "Get the current weather of a place, with temperature and wind",
            "parameters": {
                "type": "object",
                "properties": {
                    "location": {"type": "string", "description": "City and state, such as Boston, MA"},
                    "format": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                },
                "required": ["location", "format"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "get_n_day_forecast",
            "description": "Get a weather forecast for the next days at a place",
            "parameters": {
                "type": "object",
                "properties": {"location": {"type": "string"}, "num_days": {"type": "integer"}},
                "required": ["location", "num_days"],
            },
        },
    },
]


class Assistant:
    def __init__(self, docs):
        self.client = OpenAI()
        self.docs = docs
        self.messages = [{"role": "system", "content": SYSTEM_MESSAGE}]

    def get_current_weather(self, location, format):
        return f"{self.docs[0]} {location}"

    def get_n_day_forecast(self, location, num_days):
        return self.docs[1]

    def chat(self, text):
        self.messages.append({"role": "user", "content": text})
        while True:
            reply = self.client.chat.completions.create(model="gpt-4o", messages=self.messages, tools=tools)
            choice = reply.choices[0]
            self.messages.append(choice.message)
            if choice.finish_reason != "tool_calls":
                return choice.message.content
            for call in choice.message.tool_calls:
                result = getattr(self, call.function.name)(**json.loads(call.function.arguments))
                self.messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def main(question, docs):
    assistant = Assistant(docs)
    return assistant.chat(question) + assistant.chat(docs[2])
