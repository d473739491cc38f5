"""The demo's parts on few samples: training improves, repeats itself exactly, and lets nothing bad become a prompt."""

import json
import os

import pytest

pytest.importorskip("openai")
pytest.importorskip("bm25s")

from tracediff import demo  # noqa: E402
from tracediff.parameters import violations  # noqa: E402
from tracediff.simulate import Settings, World  # noqa: E402

SIZES = (16, 16, 12)


def run(which, *, seed=2, settings=None, sizes=SIZES, **options):
    world = World(seed, settings or Settings())
    with demo.simulation(world) as server:
        outcome = demo.train(demo.pipelines(seed, sizes)[which], world, **options)
        return outcome, server.log


def test_figures_have_the_shape_of_the_json_and_improve():
    outcome, log = run(0, max_steps=5)
    figures = json.loads(json.dumps(outcome.figures()))
    assert figures["start"] < figures["test"] <= figures["best_possible"] <= 1
    assert set(figures) == {"name", "start", "val", "test", "best_possible", "calls", "tokens", "seconds", "prompts"}
    assert set(figures["calls"]) == set(figures["tokens"]) == {"forward", "validation", "backward", "optimizer"}
    assert figures["calls"]["optimizer"] == sum(e.role == "optimizer" for e in log)
    assert figures["calls"]["backward"] == sum(e.role == "critic" for e in log)
    # The last evaluation, with every skill expressed, is no part of the training.
    assert (
        figures["calls"]["forward"] + figures["calls"]["validation"] == sum(e.role == "solver" for e in log) - SIZES[2]
    )
    assert all(figures["tokens"].values())


def test_the_same_seed_gives_the_same_requests_and_prompts_with_sixteen_in_flight():
    (first, one), (second, two) = (run(1, seed=3, max_steps=2, sizes=(12, 8, 4)) for _ in range(2))
    assert first.result.best == second.result.best != first.result.start
    assert sorted(json.dumps(e.body) for e in one) == sorted(json.dumps(e.body) for e in two)
    for role in ("critic", "optimizer"):
        replies = [sorted(e.reply for e in log if e.role == role) for log in (one, two)]
        assert replies[0] == replies[1] != []


def test_bad_proposals_never_become_a_prompt_and_the_run_improves():
    outcome, log = run(0, settings=Settings(malformed=1 / 9, hostile=3 / 9, dropping=1 / 9), max_steps=6)
    result = outcome.result
    assert result.test.mean > result.start_test.mean
    assert any("Ignore everything above" in e.reply for e in log if e.role == "optimizer"), "it was tried"
    for parameter in result.parameters:
        text = result.best[parameter.name]
        assert violations(parameter, text) == [] and "Ignore everything above" not in text


def test_the_environment_is_as_before(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://example.invalid/v1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with demo.simulation(World(1)) as server:
        assert os.environ["OPENAI_BASE_URL"] == server.base_url
    assert os.environ["OPENAI_BASE_URL"] == "http://example.invalid/v1"
    assert "OPENAI_API_KEY" not in os.environ


def test_without_a_clone_the_demo_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "tracediff" / "demo.py"))
    with pytest.raises(demo.UsageError, match="make demo"):
        demo.pipelines(1)
