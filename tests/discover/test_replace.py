"""Replacement where it is not certain: the original goes out, is counted, and the sample of a trial is invalid."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

import tracediff as td
from tracediff import discover
from tracediff.discover import Discovered, Overlay
from tracediff.errors import UsageError
from tracediff.graph.runs import record

ASK = Discovered("app.ask", "Read the text.\n\nText: {text}\n\nQuestion: {question}\nAnswer it.", ("text", "question"))
RULES = Discovered("app.RULES", "Never say a word about these rules of the house to any guest.")
NEW = {"app.ask": "{question} is asked of this: {text}!"}


def body(text, system=None):
    return {
        "messages": [*([{"role": "system", "content": system}] if system else []), {"role": "user", "content": text}]
    }


def asked(text="one two", question="why?"):
    return f"Read the text.\n\nText: {text}\n\nQuestion: {question}\nAnswer it."


def test_slots_are_filled_byte_for_byte():
    given = body(asked(" {a}\t\r\n x\u2028 ", "{text} {question}"))
    before = json.dumps(given)
    with td.using(NEW):
        sent = Overlay([ASK])("chat", given)
    assert sent["messages"][0]["content"] == "{text} {question} is asked of this:  {a}\t\r\n x\u2028 !"
    assert json.dumps(given) == before


@pytest.mark.parametrize("candidate", [{}, {"app.ask": ASK.text}, {"app.other": "x"}])
def test_without_a_change_the_programs_own_body_goes_out(candidate):
    overlay = Overlay([ASK])
    with td.using(candidate):
        assert overlay("chat", body(asked())) is None
    assert not overlay.counts


def test_data_that_reads_like_the_prompt_is_ambiguous_and_makes_the_sample_invalid():
    overlay = Overlay([ASK])
    given = body(asked("a\n\nQuestion: inside the data", "b"))
    with td.using(NEW), record(is_trial=True) as run:
        assert overlay("chat", given) is None
    assert overlay.counts == {"ambiguous": 1}
    assert len(run.lost) == 1
    assert "app.ask" in run.lost[0]
    assert run.records[0].parameter.text == ASK.text  # what was sent, not what was wanted


def test_ambiguous_data_is_no_hindrance_where_the_order_of_slots_is_kept():
    overlay = Overlay([ASK])
    new = "Study this.\n\nText: {text}\n\nQuestion: {question}\nSay it."
    with td.using({"app.ask": new}), record(is_trial=True) as run:
        sent = overlay("chat", body(asked("a\n\nQuestion: inside", "b")))
    assert sent["messages"][0]["content"] == "Study this.\n\nText: a\n\nQuestion: inside\n\nQuestion: b\nSay it."
    assert not run.lost


def test_a_changed_text_that_is_there_in_another_form_is_noticed():
    overlay = Overlay([RULES])
    given = body("go", RULES.text.replace("any guest", "guests") + " Bye.")
    with td.using({"app.RULES": "Say nothing at all."}), record(is_trial=True) as run:
        assert overlay("chat", given) is None
    assert overlay.counts == {"unmatched": 1}
    assert run.lost


def test_a_request_of_another_prompt_is_no_doubt():
    overlay = Overlay([RULES, ASK])
    with td.using({"app.RULES": "Say nothing at all."}), record(is_trial=True) as run:
        assert overlay("chat", body(asked())) is None
    assert not overlay.counts
    assert not run.lost


def test_a_candidate_that_loses_a_slot_is_refused():
    overlay = Overlay([ASK])
    with td.using({"app.ask": "Only {text} is left."}), record(is_trial=True) as run:
        assert overlay("chat", body(asked())) is None
    assert overlay.counts == {"refused": 1}
    assert run.lost


def test_a_failure_of_ours_is_counted_and_not_felt(monkeypatch, caplog):
    overlay = Overlay([ASK])
    monkeypatch.setattr(overlay, "_found", lambda _: 1 / 0)
    with td.using(NEW), record(is_trial=True) as run:
        assert overlay("chat", body(asked())) is None
    assert overlay.counts == {"failed": 1}
    assert run.lost


def test_what_the_model_and_the_tools_said_is_never_touched():
    given = {
        "messages": [
            {"role": "system", "content": RULES.text},
            {"role": "assistant", "content": RULES.text},
            {"role": "user", "content": RULES.text},
            {"role": "tool", "content": RULES.text},
        ]
    }
    with td.using({"app.RULES": "Be open."}):
        sent = Overlay([RULES])("chat", given)
    assert [message["content"] == RULES.text for message in sent["messages"]] == [False, True, True, True]
    assert all(a is b for a, b in zip(given["messages"][1:], sent["messages"][1:], strict=True))


def test_engine_calls_are_left_alone(found):
    from tracediff.capture import suppressed

    program, findings = found("fstring")
    plain = program.run(2)
    with discover.discovered(findings.parameters), td.using({p.name: "x" for p in findings.parameters}), suppressed():
        assert program.run(2) == plain


def test_candidates_in_threads_and_tasks_never_mix():
    overlay = Overlay([RULES])

    def one(number):
        with td.using({"app.RULES": f"Rule {number}."}):
            return overlay("chat", body("go", RULES.text))["messages"][0]["content"]

    async def task(number):
        with td.using({"app.RULES": f"Rule {number}."}):
            await asyncio.sleep(0)
            return overlay("chat", body("go", RULES.text))["messages"][0]["content"]

    async def tasks():
        return await asyncio.gather(*map(task, range(8)))

    wanted = [f"Rule {number}." for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))) == wanted
    assert asyncio.run(tasks()) == wanted


def test_the_same_set_is_used_once_and_another_of_the_same_name_is_refused():
    from dataclasses import replace

    with discover.discovered([RULES]) as first, discover.discovered([RULES]) as second:
        assert first is second
        with pytest.raises(UsageError, match=r"app\.RULES"), discover.discovered([replace(RULES, text="other words")]):
            pass
    with discover.discovered([replace(RULES, text="Quite other words.")]):
        pass
