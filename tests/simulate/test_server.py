"""The server, asked by the real client."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

openai = pytest.importorskip("openai")

from tests.simulate.test_world import COUNT, quiet  # noqa: E402
from tracediff.simulate import Server, Settings, World, counting_samples  # noqa: E402

SAMPLES = counting_samples(1, 20)


@pytest.fixture
def server():
    with Server(quiet(1)) as running:
        yield running


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.base_url, api_key="simulated", max_retries=0) as made:
        yield made


def ask(client, question, **more):
    messages = [{"role": "system", "content": COUNT}, {"role": "user", "content": question}]
    return client.chat.completions.create(model="sim-solver", messages=messages, **more)


def test_chat_stream_and_responses_say_the_same(client, server):
    question = SAMPLES[0]["question"]
    whole = ask(client, question)
    text = whole.choices[0].message.content
    assert "Answer:" in text and whole.usage.completion_tokens > 3 and whole.usage.prompt_tokens > 20
    chunks = list(ask(client, question, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert chunks[-1].usage == whole.usage and chunks[-2].choices[0].finish_reason == "stop"
    response = client.responses.create(model="sim-solver", instructions=COUNT, input=question)
    assert response.output_text == text and response.usage.output_tokens == whole.usage.completion_tokens
    with client.responses.stream(model="sim-solver", instructions=COUNT, input=question) as stream:
        assert stream.get_final_response().output_text == text
    assert [e.path[-9:] for e in server.log] == ["mpletions", "mpletions", "responses", "responses"]


def test_it_says_that_it_is_a_simulation(client):
    assert ask(client, "x").model == "sim-solver"
    assert ask(client, "x").system_fingerprint == "simulation"
    assert {m.id for m in client.models.list()} == {"sim-solver", "sim-critic", "sim-optimizer"}


def test_unknown_model_and_missing_key_are_the_providers_errors(client, server):
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "x"}])
    bare = urllib.request.Request(server.base_url + "/chat/completions", data=b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(bare)
    with refused.value as reply:
        assert reply.code == 401 and json.load(reply)["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("chat/completions", {"stream": True, "stream_options": "usage"}),
        ("chat/completions", {"stream": True, "stream_options": [1]}),
        ("chat/completions", {"response_format": "json"}),
        ("chat/completions", {"response_format": {"json_schema": "x"}}),
        ("chat/completions", {"response_format": {"json_schema": {"schema": {"properties": ["method"]}}}}),
        ("chat/completions", {"response_format": {"json_schema": {"schema": {"properties": {"method": "x"}}}}}),
        ("chat/completions", {"messages": "hello"}),
        ("chat/completions", {"model": 5}),
        ("responses", {"text": "json"}),
        ("responses", {"text": {"format": "json"}}),
        ("responses", {"input": 7}),
        ("messages", {"tool_choice": "any"}),
        ("messages", {"output_config": "json"}),
        ("messages", {"messages": {"role": "user"}}),
        ("messages/count_tokens", {"tools": "all"}),
    ],
)
def test_a_request_of_wrong_shape_gets_status_400_and_no_dropped_connection(server, path, wrong):
    body = {"model": "sim-optimizer", "messages": [{"role": "user", "content": "x"}], **wrong}
    sent = urllib.request.Request(
        f"{server.base_url}/{path}", json.dumps(body).encode(), {"Authorization": "Bearer k", "x-api-key": "k"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(sent)
    with refused.value as reply:
        error = json.load(reply)["error"]
    assert (reply.code, error["type"]) == (400, "invalid_request_error")
    assert "Invalid type for '" in error["message"]


def test_the_client_says_what_the_server_refused(client):
    with pytest.raises(openai.BadRequestError, match=r"Invalid type for 'stream_options': expected an object"):
        ask(client, "x", stream=True, stream_options="usage")


def test_sixteen_at_once_get_what_one_after_the_other_gets(client, server):
    alone = [ask(client, s["question"]).model_dump() for s in SAMPLES]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda s: ask(client, s["question"]).model_dump(), SAMPLES))
    assert together == alone
    assert len(server.log) == 2 * len(SAMPLES)


def test_requests_wait_beside_each_other():
    with (
        Server(World(1, Settings(latency_s=0.2))) as server,
        openai.OpenAI(base_url=server.base_url, api_key="k") as client,
    ):
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda s: ask(client, s["question"]), SAMPLES[:16]))
        starts = [e.start_ns for e in server.log]
        ends = [e.end_ns for e in server.log]
    assert max(starts) < min(ends), "all were under way at the same time"


def test_errors_come_at_their_rate_and_retries_get_over_them():
    with Server(quiet(1, error_rate=0.5)) as server:
        with openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
            results = []
            for sample in SAMPLES:
                for _ in range(30):
                    try:
                        results.append(ask(client, sample["question"]).choices[0].message.content)
                        break
                    except openai.InternalServerError:
                        time.sleep(0)
        failed = sum(e.status == 500 for e in server.log)
    assert len(results) == len(SAMPLES) and 5 <= failed <= 60


def test_the_log_keeps_role_body_and_reply(client, server, tmp_path):
    ask(client, SAMPLES[0]["question"])
    client.chat.completions.create(
        model="sim-critic", messages=[{"role": "user", "content": "hello"}], response_format={"type": "json_object"}
    )
    server.dump(tmp_path / "log.jsonl")
    solver, critic = (json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines())
    assert (solver["role"], critic["role"]) == ("solver", "critic")
    assert solver["body"]["messages"][1]["content"] == SAMPLES[0]["question"] and "Answer:" in solver["reply"]
    assert json.loads(critic["reply"])["no_cause"] is True
    assert solver["start_ns"] <= solver["end_ns"]


def test_it_runs_by_hand():
    process = subprocess.Popen(
        [sys.executable, "-m", "tracediff.simulate", "--seed", "3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = process.stdout.readline().strip()
        with openai.OpenAI(base_url=url, api_key="k") as client:
            assert ask(client, SAMPLES[0]["question"]).choices[0].message.content.startswith("I went")
        assert "SIMULATION" in process.stderr.readline()
    finally:
        process.terminate()
        process.communicate()
