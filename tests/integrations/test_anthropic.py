"""What a record of the anthropic client's calls holds, and how its streams end."""

import asyncio
import copy
import gc
import os
import subprocess
import sys
import threading

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.integrations import anthropic_bodies as bodies
from tests.integrations.loopback import Answer, Loopback, as_json, named_events, page
from tracediff import attributes as keys
from tracediff.capture import context
from tracediff.capture.decorators import functional_node
from tracediff.capture.faults import faults
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.capture.values import Placeholder
from tracediff.graph.runs import record

anthropic = pytest.importorskip("anthropic")

ASK = {"model": "sim", "max_tokens": 9, "messages": [{"role": "user", "content": "How many animals?"}]}
MESSAGE = as_json(bodies.message())
SSE = named_events(bodies.message_events())
SEVEN = "There are seven."


@pytest.fixture(scope="module")
def server():
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture(scope="module")
def root(server):
    return server.base_url.removesuffix("/v1")


@pytest.fixture(scope="module")
def client(root):
    with anthropic.Anthropic(api_key="k", base_url=root, max_retries=0) as made:
        yield made


@pytest.fixture
def patched():
    before = faults.counts()
    instrument("anthropic")
    yield
    uninstrument()
    assert faults.counts() == before


def only(run):
    (made,) = run.records
    return made


def test_inputs_are_content_and_settings_are_attributes(server, client, patched):
    server.script(MESSAGE)
    with record() as run:
        client.messages.create(
            **ASK, system="Count.", stop_sequences=["x"], thinking={"type": "disabled"}, extra_body={"top_k": 3}
        )
    made = only(run)
    assert made.inputs == {"system": "Count.", "messages": ASK["messages"]}
    assert made.attributes[keys.REQUEST_MAX_TOKENS] == 9
    assert made.attributes[keys.REQUEST_TOP_K] == 3
    assert made.attributes[keys.REQUEST_STOP_SEQUENCES] == ["x"]
    assert made.attributes[keys.REQUEST_SETTINGS] == {"thinking": {"type": "disabled"}}
    assert made.attributes[keys.PROVIDER_NAME] == "anthropic"
    assert made.attributes[keys.OPERATION_NAME] == "chat"
    assert made.name.endswith(f"{__name__}.test_inputs_are_content_and_settings_are_attributes:messages")


def test_usage_counts_cached_tokens_among_the_input(server, client, patched):
    server.script(MESSAGE)
    with record() as run:
        client.messages.create(**ASK)
    made = only(run)
    assert made.attributes[keys.USAGE_INPUT_TOKENS] == 7 + 5 + 3
    assert made.attributes[keys.USAGE_CACHE_READ_TOKENS] == 5
    assert made.attributes[keys.USAGE_CACHE_WRITE_TOKENS] == 3
    assert made.attributes[keys.RESPONSE_ID] == "msg_1"


def test_messages_given_as_a_generator_are_drawn_by_the_client_and_recorded(server, client, patched):
    drawn = []

    def messages():
        for message in ASK["messages"]:
            drawn.append(message)
            yield message

    server.script(MESSAGE)
    with record() as run:
        client.messages.create(**{**ASK, "messages": messages()})
    assert drawn == ASK["messages"]
    assert server.seen[0].json["messages"] == ASK["messages"]
    assert only(run).inputs["messages"] == ASK["messages"]


def test_a_generator_that_raises_raises_the_same(server, client, patched):
    def messages():
        yield ASK["messages"][0]
        raise LookupError("no more")

    with record() as run, pytest.raises(LookupError, match="no more"):
        client.messages.create(**{**ASK, "messages": messages()})
    made = only(run)
    assert made.error == "LookupError: no more"
    assert made.inputs["messages"] == ASK["messages"]


def test_a_body_of_the_caller_s_own_is_untouched(server, client, patched):
    server.script(MESSAGE)
    message = {"role": "user", "content": [{"type": "text", "text": "How many?"}]}
    body = {"model": "sim", "max_tokens": 9, "messages": iter([message])}
    given = body["messages"]
    with record() as run:
        client.post("/v1/messages", body=body, cast_to=object)
    assert body == {"model": "sim", "max_tokens": 9, "messages": given}
    assert only(run).inputs["messages"] == [message]


def test_the_text_the_program_reads_is_the_object_that_was_recorded(server, client, patched):
    server.script(MESSAGE)
    with record() as run:
        text = client.messages.create(**ASK).content[0].text
        client.messages.create(**{**ASK, "messages": [{"role": "user", "content": text}]})
    first, second = run.records
    assert first.output["content"] is text
    assert ("messages[0].content", first.id, "content") in {(r.path, r.source, r.source_path) for r in second.refs}


def test_an_async_raw_response_is_recorded_with_the_program_s_own_text(server, root, patched):
    server.script(MESSAGE)

    async def main():
        async with anthropic.AsyncAnthropic(api_key="k", base_url=root, max_retries=0) as client:
            answer = await client.messages.with_raw_response.create(**ASK)
            return (await answer.parse()).content[0].text

    with record() as run:
        text = asyncio.run(main())
    assert only(run).output["content"] is text


def test_blocks_of_an_answer_sent_back_are_recognised(server, client, patched):
    call = as_json(bodies.message("Let me look.", "tool_use", [bodies.CALL]))
    server.script(call, MESSAGE)
    with record() as run:
        answer = client.messages.create(**ASK)
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "seven"}
        client.messages.create(
            **{
                **ASK,
                "messages": [
                    *ASK["messages"],
                    {"role": "assistant", "content": answer.content},
                    {"role": "user", "content": [result]},
                ],
            }
        )
    first, second = run.records
    assert first.output == {
        "content": "Let me look.",
        "tool_calls": [{"id": "toolu_1", "name": "look", "arguments": {"place": "barn"}}],
    }
    assert any(ref.path.startswith("messages[1].content") and ref.source == first.id for ref in second.refs)


def test_what_was_thought_stands_beside_the_answer(server, client, patched):
    thought = {"type": "thinking", "thinking": "Four and three.", "signature": "s"}
    server.script(as_json({**bodies.message(), "content": [thought, {"type": "text", "text": "Seven."}]}))
    with record() as run:
        client.messages.create(**ASK)
    assert only(run).output == {"content": "Seven.", "thinking": "Four and three."}


def test_images_and_files_are_placeholders_and_the_request_is_whole(server, client, patched):
    data = "iVBORw0KGgo" + "A" * 100
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words " * 40}}
    nested = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    messages = [{"role": "user", "content": [image, text, nested, {"type": "text", "text": "What is it?"}]}]
    given = copy.deepcopy(messages)
    server.script(MESSAGE)
    with record() as run:
        client.messages.create(**{**ASK, "messages": messages})
    assert messages == given
    assert server.seen[0].json["messages"] == given
    content = only(run).inputs["messages"][0]["content"]
    assert content[0]["source"]["data"] == Placeholder("image/png", "media")
    assert content[1] == text
    assert content[2]["content"][0]["source"]["data"] == Placeholder("image/png", "media")
    assert content[3] == {"type": "text", "text": "What is it?"}


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (page("<html>Sorry</html>", "text/html"), "not_json"),
        (page("", "text/html"), "empty"),
        (page('{"id": "msg_1", "cont'), "broken_json"),
        (page(""), "broken_json"),
        (as_json({}), "empty"),
    ],
)
def test_a_page_or_broken_json_at_status_200_is_flagged(server, client, answer, fault):
    def ask():
        server.script(answer)
        try:
            return client.messages.create(**ASK)
        except ValueError as error:
            return type(error), str(error)

    bare = ask()
    instrument("anthropic")
    with record() as run:
        assert ask() == bare
    uninstrument()
    assert only(run).attributes[keys.FAULT] == fault


def test_an_html_page_as_a_stream_is_flagged(server, client, patched):
    server.script(page("<html>Sorry</html>", "text/html"))
    with record() as run:
        assert list(client.messages.create(**ASK, stream=True)) == []
    assert only(run).attributes[keys.FAULT] == "not_json"


def test_a_refused_request_is_one_record_with_its_error(server, client, patched):
    server.script(as_json({"type": "error", "error": {"type": "not_found_error", "message": "no such model"}}, 404))
    with record() as run, pytest.raises(anthropic.NotFoundError) as raised:
        client.messages.create(**ASK)
    assert only(run).error == f"NotFoundError: {raised.value}"


def test_retries_of_the_client_are_one_call(server, root, patched):
    server.script(as_json({}, 500, **{"retry-after-ms": "1"}), MESSAGE)
    with anthropic.Anthropic(api_key="k", base_url=root, max_retries=2) as client, record() as run:
        client.messages.create(**ASK)
    assert len(server.seen) == 2
    assert only(run).output == {"content": bodies.TEXT}


@pytest.mark.parametrize(
    ("name", "settings", "provider"),
    [
        ("AnthropicVertex", {"access_token": "k", "region": "r", "project_id": "p"}, "gcp.vertex_ai"),
        ("AnthropicBedrock", {"api_key": "k", "aws_region": "r"}, "aws.bedrock"),
        ("AnthropicFoundry", {"api_key": "k"}, "anthropic"),
    ],
)
def test_client_classes_are_recorded_under_their_provider(server, root, patched, name, settings, provider):
    server.script(MESSAGE)
    with getattr(anthropic, name)(base_url=root, max_retries=0, **settings) as client, record() as run:
        client.beta.messages.create(**ASK)
    made = only(run)
    assert made.attributes[keys.PROVIDER_NAME] == provider
    assert made.attributes[keys.REQUEST_MODEL] == "sim"


def test_bytes_of_amazon_s_event_stream_are_read(server, root, patched):
    pytest.importorskip("botocore")
    server.script(bodies.amazon(bodies.message_events()))
    with anthropic.AnthropicBedrock(base_url=root, api_key="k", aws_region="r") as client, record() as run:
        with client.messages.with_streaming_response.create(**ASK, stream=True) as answer:
            assert b"".join(answer.iter_bytes()) == b"".join(server.answers[0].chunks)
    assert only(run).output == {"content": SEVEN}


def test_paths_that_are_no_generation_go_straight_through(server, client, patched):
    server.script(as_json({"id": "batch_1", "type": "message_batch"}))
    with record() as run:
        client.messages.batches.create(requests=[])
    assert run.records == ()


# Streams end once, and say how


def leave_by_close(client):
    answer = client.messages.create(**ASK, stream=True)
    read_one_text(answer)
    answer.close()


def leave_context(client):
    with client.messages.create(**ASK, stream=True) as answer:
        read_one_text(answer)


def leave_helper(client):
    with client.messages.stream(**ASK) as answer:
        for event in answer:
            if event.type == "text":
                break


def drop(client):
    answer = client.messages.create(**ASK, stream=True)
    read_one_text(answer)
    del answer
    gc.collect()


def read_one_text(answer):
    for event in answer:
        if event.type == "content_block_delta":
            return


async def aleave_by_close(client):
    answer = await client.messages.create(**ASK, stream=True)
    async for event in answer:
        if event.type == "content_block_delta":
            break
    await answer.close()


async def acancelled(client):
    answer = await client.messages.create(**ASK, stream=True)
    async for event in answer:
        if event.type == "content_block_delta":
            break
    del answer
    gc.collect()
    await asyncio.sleep(0)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("leave", [leave_by_close, leave_context, leave_helper, drop, aleave_by_close, acancelled])
def test_an_abandoned_stream_ends_once_and_says_so(server, root, client, patched, leave):
    server.script(Answer([b"".join(SSE.chunks)], headers=SSE.headers))

    async def main():
        async with anthropic.AsyncAnthropic(api_key="k", base_url=root, max_retries=0) as made:
            await leave(made)

    with record() as run:
        asyncio.run(main()) if asyncio.iscoroutinefunction(leave) else leave(client)
        made = only(run)
    gc.collect()
    assert run.records == (made,)
    assert made.attributes[keys.FAULT] == "abandoned"
    assert made.attributes[keys.UNFINISHED] is True
    assert made.output == {"content": "There "}


def test_a_stream_without_stop_reason_is_flagged(server, client, patched):
    server.script(named_events(bodies.message_events(stop_reason=None)))
    with record() as run:
        list(client.messages.create(**ASK, stream=True))
    made = only(run)
    assert made.attributes[keys.FAULT] == "truncated"
    assert made.output == {"content": SEVEN}


def test_an_error_in_the_middle_of_a_stream_is_raised_and_recorded(server, client, patched):
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    server.script(named_events([*bodies.message_events()[:4], error]))
    with record() as run, pytest.raises(anthropic.APIStatusError) as raised:
        list(client.messages.create(**ASK, stream=True))
    made = only(run)
    assert made.error.startswith(type(raised.value).__name__)
    assert made.output == {"content": "There "}
    assert made.attributes[keys.FAULT] == "truncated"


def test_a_stream_cut_by_the_server_raises_the_same_and_keeps_what_came(server, client):
    cut = Answer([*SSE.chunks[:4], None], headers=SSE.headers)

    def ask():
        server.script(cut)
        got = []
        with pytest.raises(Exception) as raised:
            for event in client.messages.create(**ASK, stream=True):
                got.append(event)
        return got, raised.type, str(raised.value)

    bare = ask()
    instrument("anthropic")
    with record() as run:
        assert ask() == bare
    uninstrument()
    made = only(run)
    assert made.error == f"{bare[1].__name__}: {bare[2]}"
    assert made.output == {"content": "There "}


def test_events_arrive_when_they_are_sent(server, client, patched):
    release = threading.Event()
    first, *rest = SSE.chunks
    server.script(Answer([first, release, *rest], headers=SSE.headers))
    with record() as run:
        answer = client.messages.create(**ASK, stream=True)
        assert next(answer).type == "message_start"  # while the server still holds the rest
        release.set()
        list(answer)
    assert only(run).attributes[keys.RESPONSE_TIME_TO_FIRST_CHUNK] > 0


# Export and patch


@functional_node
def node(client):
    return client.messages.create(**ASK)


def test_no_header_is_added_while_spans_go_to_a_provider_of_our_own(server, client):
    server.script(MESSAGE)
    node(client)
    bare = server.seen[0].headers
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument("anthropic", tracer_provider=provider)
    try:
        node(client)
        client.messages.create(**ASK)
        with record():
            client.messages.create(**ASK)
            client.post("/v1/messages/other", body={}, cast_to=object)
            with context.suppressed():
                client.messages.create(**ASK)
    finally:
        uninstrument()
    assert all("traceparent" not in dict(seen.headers) for seen in server.seen)
    assert [seen.headers for seen in server.seen[:4]] == [bare] * 4
    inner, outer, alone = exporter.get_finished_spans()[:3]
    assert inner.parent.span_id == outer.context.span_id
    assert (inner.name, alone.name, alone.parent) == ("chat sim", "chat sim", None)


def test_uninstrument_leaves_the_classes_as_they_were():
    made = [anthropic.Anthropic, anthropic.AsyncAnthropic, anthropic.AnthropicBedrock, anthropic.AsyncAnthropicVertex]
    classes = {base for one in made for base in one.__mro__[:-1]}
    before = {one: list(vars(one).items()) for one in classes}
    for _ in range(2):
        instrument("anthropic")
        assert {one: list(vars(one).items()) for one in classes} != before
        uninstrument()
        assert {one: list(vars(one).items()) for one in classes} == before
        uninstrument()


def test_the_library_is_patched_when_the_program_imports_it():
    code = """
import sys
from tracediff.capture.instrument import instrument, uninstrument
instrument("anthropic")
assert "anthropic" not in sys.modules
import anthropic
assert hasattr(anthropic.AnthropicBedrock.request, "__wrapped__")
uninstrument()
assert not hasattr(anthropic.AnthropicBedrock.request, "__wrapped__")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_missing_anthropic_names_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "anthropic", None)
    from tracediff.errors import MissingIntegration

    with pytest.raises(MissingIntegration, match=r"pip install 'tracediff\[anthropic\]'"):
        instrument("anthropic")
