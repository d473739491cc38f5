"""Arguments that no client expects a tracer to survive, and answers that are none."""

import copy
import gc
import importlib
import json
import types

import pytest

from tests.integrations import bodies, shapes_table
from tests.integrations.loopback import Loopback, as_json, events, page
from tracediff import attributes as keys
from tracediff.capture.faults import faults
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.capture.stainless.streams import tee_body
from tracediff.capture.values import Placeholder
from tracediff.graph.runs import record

openai = pytest.importorskip("openai")
CHAT = as_json(bodies.chat())


@pytest.fixture(scope="module")
def server():
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(api_key="k", base_url=server.base_url, max_retries=0) as made:
        yield made


@pytest.fixture
def patched():
    before = faults.counts()
    instrument("openai")
    yield
    uninstrument()
    assert faults.counts() == before


class Unreadable:
    def __repr__(self):
        raise AssertionError("somebody asked")

    __str__ = __eq__ = __hash__ = __getattr__ = __iter__ = __len__ = __bool__ = __repr__


class Shouting(dict):
    """A mapping of the program's own, which notes who reads it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.asked = []

    def __getitem__(self, key):
        self.asked.append(key)
        return super().__getitem__(key)


def test_an_argument_that_can_not_be_sent_fails_as_it_does_bare(server, client):
    def ask():
        server.script(CHAT)
        with pytest.raises(Exception) as raised:
            client.chat.completions.create(model="sim", messages=[{"role": "user", "content": Unreadable()}])
        return raised.type, server.seen

    bare = ask()
    instrument("openai")
    before = faults.counts()
    with record() as run:
        assert ask() == bare
    uninstrument()
    assert faults.counts() == before
    assert all(made.error for made in run.records)


def test_a_mapping_of_the_program_s_own_is_read_as_often_as_bare(server, client):
    def ask():
        server.script(CHAT)
        message = Shouting(role="user", content="How many?")
        client.chat.completions.create(model="sim", messages=[message])
        return message.asked

    bare = ask()
    instrument("openai")
    with record() as run:
        assert ask() == bare
    uninstrument()
    assert run.records[0].inputs["messages"] == [{"role": "user", "content": "How many?"}]


def test_images_in_messages_are_placeholders(server, client, patched):
    server.script(CHAT)
    words = {"type": "text", "text": "What is it?"}
    far = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
    messages = [{"role": "user", "content": [shapes_table.IMAGE, far, words]}]
    given = copy.deepcopy(messages)
    with record() as run:
        client.chat.completions.create(model="sim", messages=messages)
        client.responses.create(
            model="sim",
            input=[
                {
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": shapes_table.IMAGE["image_url"]["url"]}],
                }
            ],
        )
    assert messages == given
    assert server.seen[0].json["messages"] == given
    content = run.records[0].inputs["messages"][0]["content"]
    assert content == [{"type": "image_url", "image_url": {"url": Placeholder("image/png", "media")}}, far, words]
    assert run.records[1].inputs["input"][0]["content"][0]["image_url"] == Placeholder("image/png", "media")


def test_a_record_with_a_placeholder_is_saved_and_read(server, client, patched, tmp_path):
    server.script(CHAT)
    with record() as run:
        client.chat.completions.create(model="sim", messages=[{"role": "user", "content": [shapes_table.IMAGE]}])
    run.save(tmp_path / "run.jsonl")
    assert shapes_table.PIXEL not in (tmp_path / "run.jsonl").read_text()
    assert '"image/png"' in (tmp_path / "run.jsonl").read_text()


def test_settings_are_those_of_the_request_even_if_changed_later(server, client, patched):
    server.script(CHAT)
    body = {"model": "sim", "messages": [{"role": "user", "content": "How many?"}], "temperature": 0.5}
    with record() as run:
        client.post("/chat/completions", body=body, cast_to=object)
        body["temperature"], body["messages"][0]["content"] = 0.9, "changed"
    (made,) = run.records
    assert made.attributes[keys.REQUEST_TEMPERATURE] == 0.5
    assert made.inputs["messages"][0]["content"] == "How many?"


def test_an_answer_at_its_length_limit_says_so(server, client, patched):
    server.script(as_json(bodies.chat("half", "length")))
    with record() as run:
        client.chat.completions.create(model="sim", messages=[{"role": "user", "content": "How many?"}])
    (made,) = run.records
    assert made.attributes[keys.RESPONSE_FINISH_REASONS] == ["length"]
    assert keys.FAULT not in made.attributes


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (page("<html>Sorry</html>", "text/html"), "not_json"),
        (page("", "text/plain"), "empty"),
        (page('{"id": "x", "cho'), "broken_json"),
        (as_json({}), "empty"),
        (as_json({"error": {"message": "overloaded"}}), "empty"),
    ],
)
def test_an_answer_that_is_none_is_flagged(server, client, patched, answer, fault):
    server.script(answer)
    with record() as run:
        try:
            client.chat.completions.create(model="sim", messages=[{"role": "user", "content": "How many?"}])
        except json.JSONDecodeError:
            assert fault == "broken_json"
    (made,) = run.records
    assert made.attributes[keys.FAULT] == fault


def test_vectors_are_placeholders_and_still_recognised(server, client, patched):
    vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25, 0.125]}
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    server.script(as_json({"object": "list", "data": [vector], "model": "sim-2026", "usage": usage}))
    with record() as run:
        found = client.embeddings.create(model="sim", input="a cat", encoding_format="float").data[0].embedding
        run.set_output(found)
    (made,) = run.records
    assert made.kind == "function"
    assert made.attributes[keys.OPERATION_NAME] == "embeddings"
    assert made.attributes[keys.USAGE_INPUT_TOKENS] == 3
    assert made.inputs == {"input": "a cat"}
    assert made.output == {"vectors": [Placeholder("vector of 3", "vector")]}
    assert [(ref.source, ref.source_path) for ref in run.output_refs] == [(made.id, "vectors[0]")]


def test_a_stream_of_a_page_is_flagged(server, client, patched):
    server.script(page("<html>Sorry</html>", "text/html"))
    with record() as run:
        assert list(client.chat.completions.create(model="sim", messages=[], stream=True)) == []
    assert run.records[0].attributes[keys.FAULT] == "not_json"


def test_an_answer_of_a_cast_of_the_program_s_own_is_read(server, client, patched):
    server.script(CHAT)
    http = importlib.import_module("httpx2" if int(openai.__version__.partition(".")[0]) >= 3 else "httpx")
    with record() as run:
        answer = client.post("/chat/completions", body={"model": "sim", "messages": []}, cast_to=http.Response)
    assert answer.json()["id"] == "chatcmpl-1"
    assert run.records[0].output == {"content": bodies.TEXT}


def test_events_without_any_choice_are_no_answer(server, client, patched):
    server.script(events([], done=True))
    with record() as run:
        assert list(client.chat.completions.create(model="sim", messages=[], stream=True)) == []
    assert run.records[0].attributes[keys.FAULT] == "empty"


def test_a_body_that_a_client_ends_itself_when_it_is_dropped_still_ends():
    """Anthropic's own span of a stream that nobody read ends there."""
    ended = []

    class Body:
        def __iter__(self):
            yield b"data"

        def close(self):
            ended.append("closed")

        def __del__(self):
            ended.append("dropped")

    class Seen:
        is_advancing = False

        def abandoned(self):
            ended.append("ours")

    response = types.SimpleNamespace(stream=Body())
    tee_body(response, Seen())
    del response
    gc.collect()
    assert ended == ["ours", "dropped"]
