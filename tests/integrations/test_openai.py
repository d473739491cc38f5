"""The patched client against the bare one: the same for the program, and one record for us."""

import asyncio
import copy
import gc
import gzip
import importlib
import inspect
import json
import os
import pickle
import subprocess
import sys
import threading
import weakref

import openai
import pydantic
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from tests.integrations import bodies
from tests.integrations.loopback import Answer, Loopback, as_json, events, named_events, page
from tracediff import attributes as keys
from tracediff.capture import context, recorder
from tracediff.capture.faults import faults
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.graph.runs import record

# What the client speaks: httpx2 from openai 3 on
http = importlib.import_module("httpx2" if int(openai.__version__.partition(".")[0]) >= 3 else "httpx")
ASK = {"model": "sim", "messages": [{"role": "user", "content": "How many animals?"}]}
ANSWER = {"model": "sim", "input": "How many animals?"}


@pytest.fixture(scope="module")
def server():
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture
def patched():
    before = faults.counts()
    instrument("openai")
    yield
    uninstrument()
    assert faults.counts() == before


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(api_key="k", base_url=server.base_url, max_retries=0) as made:
        yield made


def run_async(server, use):
    async def main():
        async with openai.AsyncOpenAI(api_key="k", base_url=server.base_url, max_retries=0) as made:
            return await use(made)

    return asyncio.run(main())


class Count(pydantic.BaseModel):
    place: str


# Call shapes: what the program does, and all that it can see of the answer


def create(client):
    answer = client.chat.completions.create(**ASK)
    return type(answer), answer.model_dump()


def raw(client):
    answer = client.chat.completions.with_raw_response.create(**ASK)
    same = answer.parse() is answer.parse()
    return type(answer), answer.status_code, answer.text, answer.parse().model_dump(), same


def streaming_bytes(client):
    with client.chat.completions.with_streaming_response.create(**ASK) as answer:
        return type(answer), b"".join(answer.iter_bytes())


def stream(client):
    answer = client.chat.completions.create(**ASK, stream=True)
    return type(answer), type(answer.response), [chunk.model_dump() for chunk in answer]


def parse(client):
    answer = client.chat.completions.parse(**ASK, response_format=Count)
    return type(answer), answer.model_dump(warnings=False), answer.choices[0].message.parsed


def responses(client):
    answer = client.responses.create(**ANSWER, instructions="Count.")
    return type(answer), answer.model_dump(), answer.output_text


def responses_stream(client):
    answer = client.responses.create(**ANSWER, stream=True)
    return type(answer), [event.model_dump() for event in answer]


def completions(client):
    answer = client.completions.create(model="sim", prompt="Say")
    return type(answer), answer.model_dump()


CHAT = as_json(bodies.chat())
SSE = events(bodies.chat_chunks())
COUNT = '{"place": "barn"}'
RESPONSE = as_json(bodies.response())
RESPONSE_SSE = named_events(bodies.response_events())
LEGACY = as_json(
    {
        **{"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "sim-2026", "usage": bodies.USAGE},
        "choices": [{"index": 0, "text": bodies.TEXT, "finish_reason": "stop", "logprobs": None}],
    }
)
SEVEN = "There are seven."


def use(server, client, shape):
    return run_async(server, shape) if asyncio.iscoroutinefunction(shape) else shape(client)


def test_inputs_are_content_and_settings_are_attributes(server, client, patched):
    server.script(CHAT)
    with record() as run:
        client.chat.completions.create(
            **ASK, temperature=0.5, stop="x", n=1, tool_choice="none", extra_body={"min_p": 3}
        )
    (made,) = run.records
    assert made.inputs == {"messages": ASK["messages"]}
    assert made.attributes[keys.REQUEST_TEMPERATURE] == 0.5
    assert made.attributes[keys.REQUEST_STOP_SEQUENCES] == ["x"]
    assert made.attributes[keys.REQUEST_SETTINGS] == {"tool_choice": "none", "min_p": 3}
    assert made.attributes[keys.PROVIDER_NAME] == "openai"
    assert made.attributes[keys.SERVER_ADDRESS] == "127.0.0.1"


@pytest.mark.parametrize("shape", ["create", "raw", "responses"])
def test_the_content_the_program_reads_is_the_object_that_was_recorded(server, client, patched, shape):
    server.script(RESPONSE if shape == "responses" else CHAT)
    with record() as run:
        if shape == "create":
            text = client.chat.completions.create(**ASK).choices[0].message.content
        elif shape == "raw":
            text = client.chat.completions.with_raw_response.create(**ASK).parse().choices[0].message.content
        else:
            text = client.responses.create(**ANSWER).output_text
        run.set_output({"text": text})
    (made,) = run.records
    assert made.output["content"] is text
    assert [(ref.source, ref.source_path) for ref in run.output_refs] == [(made.id, "content")]


def test_an_answer_put_into_the_next_request_is_recognised(server, client, patched):
    server.script(CHAT)
    with record() as run:
        text = client.chat.completions.create(**ASK).choices[0].message.content
        client.chat.completions.create(model="sim", messages=[{"role": "user", "content": text}])
    first, second = run.records
    assert ("messages[0].content", first.id, "content") in {(r.path, r.source, r.source_path) for r in second.refs}


@pytest.mark.parametrize("streamed", [False, True])
def test_tool_calls_are_recorded_with_their_ids(server, client, patched, streamed):
    answer = events(bodies.tool_chunks()) if streamed else as_json(bodies.chat(None, "tool_calls", [bodies.CALL]))
    server.script(answer)
    with record() as run:
        got = client.chat.completions.create(**ASK, stream=streamed)
        if streamed:
            list(got)
    (made,) = run.records
    assert made.output == {"tool_calls": [{"id": "call_1", "name": "look", "arguments": COUNT}]}
    assert made.attributes[keys.RESPONSE_FINISH_REASONS] == ["tool_calls"]


def test_function_calls_of_a_response_are_recorded(server, client, patched):
    server.script(as_json(bodies.response(calls=[bodies.FUNCTION_CALL])))
    with record() as run:
        client.responses.create(**ANSWER)
    (made,) = run.records
    assert made.output["tool_calls"] == [{"id": "call_1", "name": "look", "arguments": COUNT}]


@pytest.mark.parametrize(
    ("content", "reason", "error"), [('{"place": 3}', "stop", "ValidationError"), ('{"pla', "length", "LengthFinish")]
)
def test_what_the_parser_of_structured_output_refuses_is_recorded(server, client, patched, content, reason, error):
    server.script(as_json(bodies.chat(content, reason)))
    with record() as run, pytest.raises((pydantic.ValidationError, openai.LengthFinishReasonError)):
        parse(client)
    (made,) = run.records
    assert made.error.startswith(error)
    assert made.output == {"content": content}
    assert made.attributes[keys.RESPONSE_FINISH_REASONS] == [reason]
    assert made.attributes[keys.USAGE_OUTPUT_TOKENS] == 7


def test_what_the_program_changes_after_a_call_does_not_change_its_record(server, client, patched):
    """Attributes are read when somebody asks for them."""
    server.script(CHAT)
    shape = {"type": "json_object", "extra": ["a"]}
    messages = [{"role": "user", "content": "Count."}]
    with record() as run:
        got = client.chat.completions.create(model="sim", messages=messages, response_format=shape, stop=["x"])
        said = (got.id, got.usage.prompt_tokens)
        shape["extra"].append("b")
        messages.append({"role": "user", "content": "later"})
        got.id, got.usage.prompt_tokens, got.choices[0].finish_reason = "changed", -1, "changed"
    (found,) = run.records
    assert found.attributes[keys.REQUEST_SETTINGS] == {"response_format": {"type": "json_object", "extra": ["a"]}}
    assert (found.attributes[keys.RESPONSE_ID], found.attributes[keys.USAGE_INPUT_TOKENS]) == said
    assert found.attributes[keys.RESPONSE_FINISH_REASONS] == ["stop"]
    assert len(found.inputs["messages"]) == 1


def test_a_recording_does_not_keep_the_answers(server, client, patched):
    server.script(CHAT)
    with record() as run:
        got = weakref.ref(client.chat.completions.create(model="sim", messages=[{"role": "user", "content": "Count."}]))
        gc.collect()
        assert got() is None
    assert run.records[0].attributes[keys.USAGE_INPUT_TOKENS] > 0


def test_the_caller_s_arguments_are_untouched(server, client, patched):
    server.script(CHAT)
    message = {"role": "user", "content": [{"type": "text", "text": "How many?"}]}
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    asked = {"model": "sim", "messages": [message], "tools": tools, "extra_body": {"top_k": 3}, "stop": ["x"]}
    before = copy.deepcopy(asked)
    with record() as run:
        client.chat.completions.create(**asked)
        run.records[0].inputs["messages"][0]["content"][0]["text"] = "changed"
    assert asked == before


def test_a_response_in_the_background_is_no_fault(server, client, patched):
    server.script(as_json({**bodies.response(status="queued"), "output": []}))
    with record() as run:
        client.responses.create(**ANSWER, background=True)
    assert keys.FAULT not in run.records[0].attributes


# Streams end once, and say how


def use_and_close(client):
    answer = client.chat.completions.create(**ASK, stream=True)
    for _ in range(2):
        next(answer)
    answer.close()


def use_and_leave_context(client):
    with client.chat.completions.create(**ASK, stream=True) as answer:
        for _ in range(2):
            next(answer)


def use_and_leave_helper(client):
    with client.chat.completions.stream(**ASK) as answer:
        next(answer)
        next(answer)
        next(answer)


def use_and_drop(client):
    answer = client.chat.completions.create(**ASK, stream=True)
    for _ in range(2):
        next(answer)
    del answer
    gc.collect()


async def ause_and_close(client):
    answer = await client.chat.completions.create(**ASK, stream=True)
    for _ in range(2):
        await anext(answer)
    await answer.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    "shape", [use_and_close, use_and_leave_context, use_and_leave_helper, use_and_drop, ause_and_close]
)
def test_an_abandoned_stream_ends_once_and_says_so(server, client, patched, shape):
    # All events come in one packet: what counts is what the program read.
    server.script(Answer([b"".join(SSE.chunks)], headers=SSE.headers))
    with record() as run:
        use(server, client, shape)
        (made,) = run.records
    gc.collect()
    assert run.records == (made,)
    assert made.attributes[keys.FAULT] == "abandoned"
    assert made.attributes[keys.UNFINISHED] is True
    assert made.output == {"content": "There "}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_stream_collected_while_the_recorder_is_at_work_ends_without_a_deadlock(server, client, patched):
    server.script(SSE)

    with record() as run:
        kept = [client.chat.completions.create(**ASK, stream=True)]
        next(kept[0])

        def collect():
            with run.recording._run.lock:
                kept.clear()
                gc.collect()

        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        assert len(run.records) == 1


def test_a_stream_left_by_break_is_ended_by_the_recording(server, client, patched):
    server.script(SSE)
    with record() as run:
        answer = client.chat.completions.create(**ASK, stream=True)
        for _ in answer:
            break
    (made,) = run.records
    assert made.attributes[keys.UNFINISHED] is True
    answer.close()
    assert run.records == (made,)


def test_a_stream_closed_after_its_finish_reason_is_whole(server, client, patched):
    server.script(SSE)
    with record() as run:
        with client.chat.completions.create(**ASK, stream=True) as answer:
            for chunk in answer:
                if chunk.choices[0].finish_reason:
                    break
    (made,) = run.records
    assert made.output == {"content": SEVEN}
    assert keys.FAULT not in made.attributes


@pytest.mark.parametrize("done", [True, False])
def test_a_stream_without_finish_reason_is_flagged(server, client, patched, done):
    server.script(events(bodies.chat_chunks(finish_reason=None), done=done))
    with record() as run:
        stream(client)
    (made,) = run.records
    assert made.attributes[keys.FAULT] == "truncated"
    assert made.output == {"content": SEVEN}


def test_a_response_stream_without_its_final_event_is_flagged(server, client, patched):
    server.script(named_events(bodies.response_events(is_whole=False)))
    with record() as run:
        responses_stream(client)
    (made,) = run.records
    assert made.attributes[keys.FAULT] == "truncated"
    assert made.output == {"content": SEVEN}


def test_a_stream_cut_in_the_middle_raises_the_same_and_keeps_what_came(server, client):
    answer = events(bodies.chat_chunks(finish_reason=None), done=False, cut=True)

    def cut():
        got = []
        server.script(answer)
        with pytest.raises(
            (openai.APIConnectionError, http.RemoteProtocolError)
        ) as raised:  # before openai 3 the latter
            for chunk in client.chat.completions.create(**ASK, stream=True):
                got.append(chunk.model_dump())
        return got, str(raised.value), raised.type

    bare = cut()
    instrument("openai")
    with record() as run:
        assert cut() == bare
    uninstrument()
    (made,) = run.records
    assert made.error == f"{bare[2].__name__}: {bare[1]}"
    assert made.output == {"content": SEVEN}


def test_chunks_arrive_when_they_are_sent(server, client, patched):
    release = threading.Event()
    first, *rest = SSE.chunks
    server.script(Answer([first, release, *rest], headers=SSE.headers))
    with record() as run:
        answer = client.chat.completions.create(**ASK, stream=True)
        assert next(answer).choices[0].delta.role == "assistant"  # while the server still holds the rest
        release.set()
        list(answer)
    (made,) = run.records
    assert made.attributes[keys.RESPONSE_TIME_TO_FIRST_CHUNK] > 0


def test_what_runs_between_chunks_is_no_child_of_the_call(server, client, patched):
    server.script(SSE)
    with record() as run:
        for _ in client.chat.completions.create(**ASK, stream=True):
            inner = recorder.begin("inner", "function", {})
            inner.end()
    assert {made.parent_id for made in run.records} == {None}


def test_a_compressed_body_read_by_the_program_is_decoded(server, client, patched):
    packed = gzip.compress(json.dumps(bodies.chat()).encode())
    server.script(Answer([packed], headers={"content-type": "application/json", "content-encoding": "gzip"}))
    with record() as run:
        streaming_bytes(client)
    assert run.records[0].output == {"content": bodies.TEXT}


# Bad answers


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (page("<html>Sorry</html>", "text/html"), "not_json"),
        (page("", "text/plain"), "empty"),
        (page("", "application/json"), "broken_json"),
        (page('{"id": "chatcmpl-1", "cho', "application/json"), "broken_json"),
        (as_json({}), "empty"),
    ],
)
def test_a_bad_body_at_status_200_is_flagged_and_the_program_gets_the_same(server, client, answer, fault):
    def outcome():
        server.script(answer)
        try:
            got = client.chat.completions.create(**ASK)
        except Exception as error:
            return type(error), str(error)
        return got if isinstance(got, str) else got.model_dump()

    bare = outcome()
    instrument("openai")
    with record() as run:
        assert outcome() == bare
    uninstrument()
    assert run.records[0].attributes[keys.FAULT] == fault


def test_an_error_ends_the_record_and_is_the_very_exception(server, client, patched):
    server.script(as_json({"error": {"message": "no such model", "code": "model_not_found"}}, 404))
    with record() as run, pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(**ASK)
    (made,) = run.records
    assert made.error == f"NotFoundError: {raised.value}"


def test_retries_of_the_client_are_one_call(server, patched):
    server.script(as_json({"error": {}}, 500, **{"retry-after-ms": "1"}), CHAT)
    with openai.OpenAI(api_key="k", base_url=server.base_url, max_retries=2) as client, record() as run:
        client.chat.completions.create(**ASK)
    assert len(server.seen) == 2
    assert len(run.records) == 1


def test_azure_is_recorded_under_its_own_name(server, patched):
    server.script(CHAT)
    with (
        openai.AzureOpenAI(api_key="k", azure_endpoint=server.base_url[:-3], api_version="v") as client,
        record() as run,
    ):
        client.chat.completions.create(**ASK)
    assert run.records[0].attributes[keys.PROVIDER_NAME] == "azure.ai.openai"


def test_paths_that_are_no_generation_go_straight_through(server, client, patched):
    server.script(
        as_json({"object": "list", "data": [], "model": "e", "usage": {"prompt_tokens": 1, "total_tokens": 1}})
    )
    with record() as run:
        client.post("/responses/resp_1/cancel", cast_to=object)
    assert run.records == ()


# Context


def test_suppressed_calls_are_not_recorded(server, client, patched):
    server.script(CHAT)
    with record() as run:
        with context.suppressed():
            client.chat.completions.create(**ASK)
        with suppress_instrumentation():
            client.chat.completions.create(**ASK)
    assert run.records == ()


def test_a_call_without_context_in_a_trial_makes_it_invalid(server, client, patched):
    server.script(CHAT)
    ready = threading.Event()

    def outside():
        ready.wait(10)
        create(client)

    thread = threading.Thread(target=outside)
    thread.start()  # before the trial, so its context is not the trial's
    with record(is_trial=True) as run:
        ready.set()
        thread.join()
    assert run.lost == [f"{__name__}.create:chat"]


def test_a_call_without_a_user_frame_is_named_after_the_client(server, client, patched):
    server.script(CHAT)
    with record() as run:
        thread = threading.Thread(target=client.chat.completions.create, kwargs=ASK)
        thread.start()
        thread.join()
    assert [made.name for made in run.records] == ["openai.chat"]


@pytest.mark.parametrize(
    ("shape", "answer", "step"),
    [
        (create, CHAT, "tracediff.capture.stainless.asking.settings_of"),
        (create, CHAT, "tracediff.capture.stainless.patch.calling_site"),
        (create, CHAT, "tracediff.capture.stainless.patch._Request.enter"),
        (create, CHAT, "tracediff.capture.stainless.watch.Watch.answered"),
        (stream, SSE, "tracediff.capture.stainless.patch.tee_items"),
        (stream, SSE, "tracediff.capture.stainless.patch.tee_body"),
        (stream, SSE, "tracediff_openai.shapes.ChatFold.add"),
        (stream, SSE, "tracediff_openai.shapes.ChatFold.reply"),
        (streaming_bytes, CHAT, "tracediff.capture.stainless.wire._whole"),
    ],
)
def test_a_fault_of_ours_is_counted_and_not_felt(server, client, monkeypatch, shape, answer, step):
    def broken(*args, **kwargs):
        raise RuntimeError("injected")

    server.script(answer)
    bare = shape(client)
    instrument("openai")
    monkeypatch.setattr(step, broken)
    before = sum(faults.counts().values())
    try:
        with record() as run:
            assert shape(client) == bare
            ended = len(run.records)
    finally:
        uninstrument()
    assert ended == (0 if step.endswith("calling_site") else 1)
    assert sum(faults.counts().values()) > before


# Export


@pytest.fixture
def exported():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument("openai", tracer_provider=provider)
    yield exporter.get_finished_spans
    uninstrument()


def test_an_undecorated_program_is_exported_without_a_recording(server, client, exported):
    server.script(CHAT)
    create(client)
    (span,) = exported()
    assert span.name == "chat sim"
    assert span.kind is SpanKind.CLIENT
    assert span.attributes[keys.USAGE_OUTPUT_TOKENS] == 7
    assert bodies.TEXT not in span.to_json()


def test_the_span_of_a_stream_ends_with_it_and_is_not_current_between_chunks(server, client, exported):
    server.script(SSE)
    answer = client.chat.completions.create(**ASK, stream=True)
    next(answer)
    assert exported() == ()
    assert not trace.get_current_span().get_span_context().is_valid
    list(answer)
    (span,) = exported()
    assert span.attributes[keys.RESPONSE_FINISH_REASONS] == ("stop",)


# The patch itself


def test_uninstrument_leaves_the_classes_as_they_were():
    classes = {base for made in (openai.AzureOpenAI, openai.AsyncAzureOpenAI) for base in made.__mro__[:-1]}
    before = {made: list(vars(made).items()) for made in classes}
    bare = openai.OpenAI.request
    for _ in range(2):
        instrument("openai")
        assert openai.OpenAI.request is not bare
        uninstrument("openai")
        assert {made: list(vars(made).items()) for made in classes} == before
        uninstrument("openai")
    assert openai.OpenAI.request is bare


def test_a_patch_of_another_tool_on_top_of_ours_survives(server, client):
    server.script(CHAT)
    instrument("openai")
    ours = openai.OpenAI.request

    def theirs(self, *args, **kwargs):
        return ours(self, *args, **kwargs)

    openai.OpenAI.request = theirs
    try:
        uninstrument("openai")
        assert openai.OpenAI.request is theirs
        with record() as run:
            create(client)
        assert run.records == ()
    finally:
        del openai.OpenAI.request


def test_signature_and_kind_of_the_method_stay():
    def seen(method):
        kinds = inspect.iscoroutinefunction(method), inspect.isfunction(method)
        told = method.__module__, method.__qualname__, method.__doc__, method.__annotations__
        return inspect.signature(method), inspect.getfullargspec(method), inspect.getsource(method), kinds, told

    bare = seen(openai.OpenAI.request), seen(openai.AsyncOpenAI.request)
    instrument("openai")
    try:
        assert (seen(openai.OpenAI.request), seen(openai.AsyncOpenAI.request)) == bare
        for method in (openai.OpenAI.request, openai.AsyncOpenAI.request):
            assert pickle.loads(pickle.dumps(method)) is method
        assert pickle.loads(pickle.dumps(openai.OpenAI)) is openai.OpenAI
    finally:
        uninstrument()


def test_the_library_is_patched_when_the_program_imports_it():
    code = """
import sys
from tracediff.capture.instrument import instrument, uninstrument
instrument("openai")
assert "openai" not in sys.modules
import openai
assert hasattr(openai.OpenAI.request, "__wrapped__")
uninstrument()
assert not hasattr(openai.OpenAI.request, "__wrapped__")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
