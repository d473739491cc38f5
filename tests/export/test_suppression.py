"""Suppressed instrumentation: the program's own is honoured; a tool's around the very call keeps only our span away."""

import asyncio
import importlib.util

import pytest
import wrapt
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tests.integrations import bodies
from tests.integrations.loopback import Loopback, as_json, events
from tracediff.capture import instrument, uninstrument
from tracediff.graph.runs import record

openai = pytest.importorskip("openai")

TOOL = """
import functools
from opentelemetry.instrumentation.utils import is_instrumentation_enabled, suppress_instrumentation

def wrap(owner, tracer):
    original = owner.request
    @functools.wraps(original)
    def request(client, *args, **kwargs):
        if not is_instrumentation_enabled():
            return original(client, *args, **kwargs)
        with tracer.start_as_current_span("tool") as span, suppress_instrumentation():
            return original(client, *args, **kwargs)
    owner.request = request

def awrap(owner, tracer):
    original = owner.request
    @functools.wraps(original)
    async def request(client, *args, **kwargs):
        if not is_instrumentation_enabled():
            return await original(client, *args, **kwargs)
        with tracer.start_as_current_span("tool") as span, suppress_instrumentation():
            return await original(client, *args, **kwargs)
    owner.request = request
"""
ASK = {"model": "sim", "messages": [{"role": "user", "content": "How many animals?"}]}


@pytest.fixture(scope="module")
def server():
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture
def tool(tmp_path):
    """A package that is installed, as tracing tools are."""
    path = tmp_path / "site-packages" / "span_tool.py"
    path.parent.mkdir()
    path.write_text(TOOL)
    spec = importlib.util.spec_from_file_location("span_tool", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for owner in (openai.OpenAI, openai.AsyncOpenAI):
        if "request" in vars(owner):
            del owner.request


@pytest.fixture(autouse=True)
def restored():
    yield
    uninstrument()


def provider(exporter, **settings):
    made = TracerProvider(shutdown_on_exit=False, **settings)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


def sync_client(server):
    return openai.OpenAI(api_key="k", base_url=server.base_url, max_retries=0)


async def ask_async(server, **more):
    async with openai.AsyncOpenAI(api_key="k", base_url=server.base_url, max_retries=0) as client:
        answer = await client.chat.completions.create(**ASK, **more)
        if more:
            return "".join([chunk.choices[0].delta.content or "" async for chunk in answer if chunk.choices])
        return answer.choices[0].message.content


def ask(server, **more):
    with sync_client(server) as client:
        answer = client.chat.completions.create(**ASK, **more)
        if more:
            return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
        return answer.choices[0].message.content


@pytest.mark.parametrize("is_sampled", [True, False])
@pytest.mark.parametrize("is_first", [True, False], ids=["tool-first", "ours-first"])
@pytest.mark.parametrize("shape", ["sync", "async", "stream", "async-stream"])
def test_a_tool_that_traces_the_call_itself_takes_nothing_from_a_recording(server, tool, shape, is_first, is_sampled):
    theirs, ours, reader = InMemorySpanExporter(), InMemorySpanExporter(), InMemoryMetricReader()
    sampling = {} if is_sampled else {"sampler": ALWAYS_OFF}
    tracer = provider(theirs, **sampling).get_tracer("tool")
    settings = {"tracer_provider": provider(ours), "meter_provider": MeterProvider([reader], shutdown_on_exit=False)}
    owner, wrap = (openai.AsyncOpenAI, tool.awrap) if "async" in shape else (openai.OpenAI, tool.wrap)
    if is_first:
        wrap(owner, tracer)
    instrument("openai", **settings)
    if not is_first:
        wrap(owner, tracer)
    more = {"stream": True} if "stream" in shape else {}
    server.script(events(bodies.chat_chunks()) if more else as_json(bodies.chat()))
    with record() as run:
        answer = asyncio.run(ask_async(server, **more)) if "async" in shape else ask(server, **more)
    (made,) = run.records
    assert made.output == {"content": answer}
    assert [span.name for span in theirs.get_finished_spans()] == (["tool"] if is_sampled else [])
    names = [span.name for span in ours.get_finished_spans()]
    assert names == (["chat sim", "invoke_workflow"] if is_first else ["invoke_workflow"])
    measured = reader.get_metrics_data()
    assert (measured is None) is not is_first


@pytest.mark.parametrize("is_first", [True, False], ids=["tool-first", "ours-first"])
def test_a_program_that_suppresses_is_not_recorded_whatever_tool_is_there(server, tool, is_first):
    theirs = InMemorySpanExporter()
    own = provider(theirs)
    if is_first:
        tool.wrap(openai.OpenAI, own.get_tracer("tool"))
    instrument("openai")
    if not is_first:
        tool.wrap(openai.OpenAI, own.get_tracer("tool"))
    server.script(as_json(bodies.chat()))
    with record() as run, own.get_tracer("app").start_as_current_span("app") as span, suppress_instrumentation():
        assert span.is_recording()
        ask(server)
    assert run.records == ()
    assert [one.name for one in theirs.get_finished_spans()] == ["app"]


def test_without_a_recording_nothing_of_a_call_that_a_tool_suppresses_leaves(server, tool):
    ours = InMemorySpanExporter()
    instrument("openai", tracer_provider=provider(ours))
    tool.wrap(openai.OpenAI, provider(InMemorySpanExporter()).get_tracer("tool"))
    server.script(as_json(bodies.chat()))
    ask(server)
    assert ours.get_finished_spans() == ()


class Proxy(wrapt.ObjectProxy):
    def __aiter__(self):
        return self.__wrapped__.__aiter__()


@pytest.mark.parametrize("is_async", [False, True])
def test_a_stream_that_a_tool_has_put_a_proxy_around_is_followed(server, monkeypatch, is_async):
    """As OpenInference does, below us when it was turned on first."""
    owner = openai.AsyncOpenAI if is_async else openai.OpenAI
    original = owner.request
    if is_async:

        async def request(client, *args, **kwargs):
            return Proxy(await original(client, *args, **kwargs))
    else:

        def request(client, *args, **kwargs):
            return Proxy(original(client, *args, **kwargs))

    monkeypatch.setattr(owner, "request", request, raising=False)
    instrument("openai")
    server.script(events(bodies.chat_chunks()))
    with record() as run:
        answer = asyncio.run(ask_async(server, stream=True)) if is_async else ask(server, stream=True)
    (made,) = run.records
    assert made.output == {"content": answer} == {"content": "There are seven."}
    uninstrument()


def test_classes_that_a_tool_wrapped_first_and_those_it_did_not_are_seen_once(server, tool):
    class Other(openai.OpenAI):
        pass

    base = openai.OpenAI.__mro__[1]
    """What other clients inherit from too, as anthropic's Bedrock classes do."""
    before = vars(base)["request"]
    tool.wrap(openai.OpenAI, provider(InMemorySpanExporter()).get_tracer("tool"))
    wrapped = vars(openai.OpenAI)["request"]
    instrument("openai")
    server.script(as_json(bodies.chat()))
    with record() as run:
        ask(server)
        with Other(api_key="k", base_url=server.base_url, max_retries=0) as client:
            client.chat.completions.create(**ASK)
    assert len(run.records) == 2
    assert vars(base)["request"] is not before
    uninstrument()
    assert vars(openai.OpenAI)["request"] is wrapped
    assert vars(base)["request"] is before
