"""Programs nobody decorated, in the styles of public examples: discovered in one run, replaced in another."""

import os

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")
pytest.importorskip("yaml")

from tests.programs.measured import Program, measure, served, share, total  # noqa: E402
from tests.programs.worlds import WORLDS  # noqa: E402


@pytest.fixture(scope="module")
def figures():
    """Return what is measured of a program, once."""
    before = dict(os.environ)
    known = {}
    with served(os.environ) as model:

        def of(name):
            if name not in known:
                known[name] = measure(Program(name, model))
            return known[name]

        yield of
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_requests_outside_of_prompts_are_as_they_were(figures, name):
    found = figures(name)
    assert found.outcome == "same"
    assert found.data_changed == 0
    assert found.differing == 0
    assert set(found.counts) <= {"replaced"}
    assert found.errors == []


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_steps_are_told_apart(figures, name):
    together, by_us, in_truth = figures(name).pairs
    assert share(together, by_us) >= 0.98
    assert share(together, in_truth) >= 0.98


def test_the_prompts_are_replaceable_after_one_run(figures):
    words, pairs, slots = total([figures(name) for name in sorted(WORLDS)])
    assert share(*words["system"]) >= 0.98
    assert share(*words["user"]) >= 0.95
    assert share(*words["tool"]) >= 0.98
    assert share(pairs[0], pairs[1]) >= 0.98
    assert share(pairs[0], pairs[2]) >= 0.98
    assert share(*slots) >= 0.9
    assert len(WORLDS) >= 25
