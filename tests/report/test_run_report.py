"""The report of a run: what was said, tried and kept stands on the page, and nothing a model wrote acts there."""

import pytest

import tracediff as td
from tracediff.report import run_report, story
from tracediff.testing import ScriptedEngine

HOSTILE = "<script>alert(1)</script>"


@td.trainable_prompt(name="report.task")
def task():
    return "Answer."


@td.functional_node(kind="llm", name="report.model")
def model(prompt, question):
    return "right" if "carefully" in prompt else "wrong"


def program(question):
    return model(task(), question)


def metric(prediction, sample):
    return td.Score(float(prediction == "right"), feedback=f"expected right {HOSTILE}")


def proposer():
    replies = iter(["Answer badly." + HOSTILE, "Answer carefully."])

    def reply(request):
        if request.purpose == "optimizer":
            return {"method": "extend", "reasoning": "because of the feedback", "text": next(replies)}
        return {"feedback": {"p1": "ask it to work carefully"}, "no_cause": False}

    return ScriptedEngine(reply)


@pytest.fixture
def result(tmp_path):
    data = [{"id": f"s{i}", "question": f"q{i}"} for i in range(6)]
    engine = proposer()
    return td.optimize(
        program, train=data, val=data, metric=metric, critic=engine, proposer=engine, run_dir=tmp_path / "run",
        batch_size=2, max_steps=1,
    )  # fmt: skip


def test_the_page_tells_what_was_tried_and_why_it_was_kept(result, tmp_path):
    result.report(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "ask it to work carefully" in page
    assert "because of the feedback" in page
    assert '<div class="added">Answer carefully.</div>' in page
    assert '<div class="removed">Answer.</div>' in page
    assert page.count(">Dropped<") == 1
    assert page.count(">Kept<") == 1
    assert "<script" not in page
    assert "Simulated" not in page


def test_the_story_counts_what_the_result_counts(result):
    told = story.of_run(result.run_dir, result.start, result.best)
    assert told.curve == [(0, 0.0), (1, 1.0)]
    assert {p: n for p, n in told.calls.items() if p in ("backward", "optimizer")} == {
        p: n for p, n in result.calls.items() if p in ("backward", "optimizer")
    }


def test_a_run_without_a_folder_says_what_to_do(result, tmp_path):
    from dataclasses import replace

    with pytest.raises(td.UsageError, match="run_dir="):
        replace(result, run_dir="").report(tmp_path / "page.html")


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(td.TracediffError, match="prompts.json"):
        run_report.of_folder(tmp_path)
