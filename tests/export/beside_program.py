"""Run by test_beside.py in a process of its own: programs under another instrumentation, with tracediff or without."""

import asyncio
import itertools
import json
import re
import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.graph.otlp_json import document
from tests.integrations import anthropic_bodies, bodies
from tests.integrations.loopback import Loopback, as_json, events, named_events

FIRST = "There are seven animals in the barn: four cats and three dogs."
NUMBERS = itertools.count(100)
ASK = {"model": "m", "messages": [{"role": "user", "content": "How many animals?"}]}


def turn_on(which, processor):
    if which.startswith("logfire"):
        import logfire

        logfire.configure(
            send_to_logfire=False, console=False, additional_span_processors=[processor], inspect_arguments=False
        )
        more = {"suppress_other_instrumentation": False} if which == "logfire-open" else {}
        return lambda: (logfire.instrument_openai(**more), logfire.instrument_anthropic(**more))
    provider = TracerProvider()
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return {
        "openinference": openinference,
        "openllmetry": openllmetry,
        "genai": genai,
        "genai-v2": genai_v2,
        "anthropic": lambda: None,  # its own spans need nothing but a global provider
    }[which]


def openinference():
    from openinference.instrumentation.anthropic import AnthropicInstrumentor
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    AnthropicInstrumentor().instrument()


def openllmetry():
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    AnthropicInstrumentor().instrument()


def genai():
    from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    AnthropicInstrumentor().instrument()


def genai_v2():
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()


def openai_client(server, kind="OpenAI"):
    import openai

    return getattr(openai, kind)(api_key="k", base_url=server.base_url, max_retries=0)


def anthropic_client(server, kind="Anthropic"):
    import anthropic

    return getattr(anthropic, kind)(api_key="k", base_url=server.base_url.removesuffix("/v1"), max_retries=0)


def check(text):
    return [{"role": "user", "content": f"Check this: {text}"}]


# Each shape: two calls, the second asked about the answer of the first.


def fresh(body):
    """A body, or events, with a response id that no other has: some tools keep what they saw by it."""
    number = next(NUMBERS)
    return json.loads(re.sub(r'"(chatcmpl|resp|msg)_?-?1"', rf'"\1_{number}"', json.dumps(body)))


def chat(server):
    server.script(as_json(fresh(bodies.chat(FIRST))), events(fresh(bodies.chat_chunks(usage=False))))
    api = openai_client(server).chat.completions
    first = api.create(**ASK).choices[0].message.content
    stream = api.create(model="m", messages=check(first), stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def async_chat(server):
    server.script(as_json(fresh(bodies.chat(FIRST))), events(fresh(bodies.chat_chunks(usage=False))))

    async def ask():
        async with openai_client(server, "AsyncOpenAI") as client:
            api = client.chat.completions
            first = (await api.create(**ASK)).choices[0].message.content
            stream = await api.create(model="m", messages=check(first), stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    return asyncio.run(ask())


def responses(server):
    server.script(as_json(fresh(bodies.response(FIRST))), named_events(fresh(bodies.response_events())))
    api = openai_client(server).responses
    first = api.create(model="m", input="How many animals?").output_text
    stream = api.create(model="m", input=check(first), stream=True)
    return "".join(event.delta for event in stream if event.type == "response.output_text.delta")


def async_responses(server):
    server.script(as_json(fresh(bodies.response(FIRST))), named_events(fresh(bodies.response_events())))

    async def ask():
        async with openai_client(server, "AsyncOpenAI") as client:
            first = (await client.responses.create(model="m", input="How many animals?")).output_text
            stream = await client.responses.create(model="m", input=check(first), stream=True)
            return "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])

    return asyncio.run(ask())


def messages(server):
    server.script(
        as_json(fresh(anthropic_bodies.message(FIRST))), named_events(fresh(anthropic_bodies.message_events()))
    )
    api = anthropic_client(server).messages
    first = api.create(max_tokens=50, **ASK).content[0].text
    with api.stream(model="m", max_tokens=50, messages=check(first)) as stream:
        return "".join(stream.text_stream)


def async_messages(server):
    server.script(
        as_json(fresh(anthropic_bodies.message(FIRST))), named_events(fresh(anthropic_bodies.message_events()))
    )

    async def ask():
        async with anthropic_client(server, "AsyncAnthropic") as client:
            first = (await client.messages.create(max_tokens=50, **ASK)).content[0].text
            stream = await client.messages.create(model="m", max_tokens=50, messages=check(first), stream=True)
            return "".join([event.delta.text async for event in stream if event.type == "content_block_delta"])

    return asyncio.run(ask())


SHAPES = {
    "chat": chat,
    "async chat": async_chat,
    "responses": responses,
    "async responses": async_responses,
    "messages": messages,
    "async messages": async_messages,
}


def run(shape, server, exporter, *, has_ours):
    exporter.clear()
    live = None
    with trace.get_tracer("app").start_as_current_span("request"):
        if has_ours:
            import tracediff

            with tracediff.record() as run:
                answer = SHAPES[shape](server)
            live = run.graph().to_json()
        else:
            answer = SHAPES[shape](server)
    return {"answer": answer, "live": live, "export": document(exporter.get_finished_spans())}


def main(which, order):
    """``order``: theirs alone, ours turned on before theirs, or after."""
    exporter = InMemorySpanExporter()
    theirs = turn_on(which, SimpleSpanProcessor(exporter))
    if order == "before":
        import tracediff

        tracediff.instrument()
    theirs()
    if order == "after":
        import tracediff

        tracediff.instrument()
    server = Loopback()
    shapes = [shape for shape in SHAPES if "messages" in shape] if which == "anthropic" else list(SHAPES)
    if which == "genai-v2":
        shapes = ["chat", "async chat"]
    try:
        made = {shape: run(shape, server, exporter, has_ours=order != "alone") for shape in shapes}
    finally:
        server.close()
    print(json.dumps(made))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
