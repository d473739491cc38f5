"""Run by test_beside.py in a process of its own: a program under another instrumentation, with tracediff or without."""

import json
import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.graph.otlp_json import document
from tests.integrations import bodies
from tests.integrations.loopback import Loopback, as_json, events

FIRST = "There are seven animals in the barn: four cats and three dogs."


def turn_on(which, processor):
    if which == "logfire":
        import logfire

        logfire.configure(
            send_to_logfire=False, console=False, additional_span_processors=[processor], inspect_arguments=False
        )
        logfire.instrument_openai(suppress_other_instrumentation=False)
        return
    provider = TracerProvider()
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    if which == "openinference":
        from openinference.instrumentation.openai import OpenAIInstrumentor
    elif which == "openllmetry":
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor
    elif which == "genai":
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
    else:
        return  # anthropic's own spans need nothing but a global provider
    OpenAIInstrumentor().instrument()


def ask_anthropic(server):
    import anthropic

    client = anthropic.Anthropic(api_key="k", base_url=server.base_url.removesuffix("/v1"), max_retries=0)
    text = "How many animals are there?"
    for _ in range(2):
        messages = [{"role": "user", "content": f"Check this: {text}"}]
        text = client.messages.create(model="m", max_tokens=50, messages=messages).content[0].text
    return text


def ask_openai(server):
    import openai

    client = openai.OpenAI(api_key="k", base_url=server.base_url, max_retries=0)
    first = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "How many animals?"}])
    messages = [{"role": "user", "content": f"Check this: {first.choices[0].message.content}"}]
    stream = client.chat.completions.create(model="m", messages=messages, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def main(which, has_ours):
    exporter = InMemorySpanExporter()
    turn_on(which, SimpleSpanProcessor(exporter))
    server = Loopback()
    live = None
    try:
        if which == "anthropic":
            usage = {"input_tokens": 3, "output_tokens": 4}
            head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "usage": usage}
            part = {"content": [{"type": "text", "text": FIRST}], "stop_reason": "end_turn", "stop_sequence": None}
            server.script(as_json({**head, **part}))
        else:
            server.script(as_json(bodies.chat(FIRST)), events(bodies.chat_chunks(usage=False)))
        ask = ask_anthropic if which == "anthropic" else ask_openai
        with trace.get_tracer("app").start_as_current_span("request"):
            if has_ours:
                import tracediff

                tracediff.instrument()
                with tracediff.record() as run:
                    answer = ask(server)
                live = run.graph().to_json()
            else:
                answer = ask(server)
    finally:
        server.close()
    print(json.dumps({"answer": answer, "live": live, "export": document(exporter.get_finished_spans())}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "ours")
