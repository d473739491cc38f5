"""Replies of models, well and badly formed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracediff.autodiff.replies import Malformed, ask, read_object
from tracediff.engine import EngineReply, EngineRequest
from tracediff.testing import ScriptedEngine

REQUEST = EngineRequest("backward", "system", "user")


@pytest.mark.parametrize(
    "text",
    [
        '{"text": "new", "method": "trim"}',
        '  \n{"text": "new", "method": "trim"}\n',
        '```json\n{"text": "new", "method": "trim"}\n```',
        'Sure! Here it is:\n```\n{"text": "new", "method": "trim"}\n```\nAnything else?',
        'I use {braces} and {"a": 1} first. {"text": "new", "method": "trim"} Done }.',
        '<think>{"text": "draft", "method": "x"}</think>{"text": "new", "method": "trim"}',
        '[{"text": "new", "method": "trim"}]',
    ],
)
def test_an_object_is_found_wherever_it_stands(text):
    assert read_object(text, ("text", "method")) == {"text": "new", "method": "trim"}


@given(st.text(), st.text())
def test_text_is_never_cut(text, around):
    braces_free = around.replace("{", "")
    reply = f"{braces_free}{json.dumps({'text': text})}"
    cleaned = text.encode("utf-8", "replace").decode()
    assert read_object(reply, ("text",)) == {"text": cleaned}


@pytest.mark.parametrize("text", ["a </text> b", "```json\n{}\n```", "} {", '{"text": "inner"}', "</output><task>"])
def test_tags_fences_and_braces_inside_a_string_stay(text):
    assert read_object("```json\n" + json.dumps({"text": text}) + "\n```", ("text",)) == {"text": text}


def test_raw_line_breaks_in_strings_are_read():
    assert read_object('{"text": "one\ntwo\tthree"}', ("text",)) == {"text": "one\ntwo\tthree"}


def test_a_lone_surrogate_does_not_get_on():
    found = read_object('{"text": "a\\ud800b", "list": ["\\udfff"]}', ("text",))
    assert json.loads(json.dumps(found, ensure_ascii=False).encode()) == found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("I can not help.", "no complete JSON object"),
        ('{"text": "cut', "no complete JSON object"),
        ('{"method": "trim"}', '"text"'),
        ("[1, 2]", "no complete JSON object"),
        ("{" * 100_000, "no complete JSON object"),
        ('{"a":' * 100_000, "no complete JSON object"),
    ],
)
def test_what_is_no_object_is_malformed_not_an_exception(text, reason):
    found = read_object(text, ("text",))
    assert isinstance(found, Malformed)
    assert reason in found.reason


def reader(text):
    return read_object(text, ("text",))


def test_a_good_reply_costs_one_call():
    engine = ScriptedEngine(['{"text": "x"}'])
    answer = ask(engine, REQUEST, reader)
    assert (answer.value, answer.calls, engine.requests) == ({"text": "x"}, 1, [REQUEST])


def test_the_error_is_in_the_next_request_and_attempts_are_told_apart():
    engine = ScriptedEngine(["no", '{"other": 1}', '{"text": "x"}'])
    answer = ask(engine, REQUEST, reader, retries=2)
    assert answer.value == {"text": "x"}
    assert answer.calls == 3
    assert [request.attempt for request in engine.requests] == [0, 1, 2]
    assert all(request.user.startswith("user\n\n<correction>") for request in engine.requests[1:])
    assert '"text"' in engine.requests[2].user
    assert engine.requests[2].user.count("<correction>") == 1


def test_after_the_retries_the_reason_is_returned_with_the_cost():
    replies = [EngineReply("no", 5, 7), EngineReply('{"text": "cut o', 5, 9, finish_reason="length")]
    answer = ask(ScriptedEngine(replies), REQUEST, reader, retries=1)
    assert isinstance(answer.value, Malformed)
    assert "length limit" in answer.value.reason
    assert answer.calls == 2
    assert [reply.output_tokens for reply in answer.replies] == [7, 9]
