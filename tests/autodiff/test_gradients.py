"""Gradients on disk: what is read is what was saved."""

import pytest

from tracediff.autodiff import Gradients, backward
from tracediff.errors import DataError
from tracediff.testing import RunBuilder, ScriptedEngine


def found():
    run = RunBuilder("s1")
    first = run.llm("app.first:chat", "one", messages=[run.prompt("app.a", "Say one.")])
    run.llm("app.second:chat", "two", messages=[run.prompt("app.b", "Say \ud800 two."), first])
    return backward(run.graph(), 0.0, ScriptedEngine())


def test_round_trip(tmp_path):
    gradients = found()
    assert gradients.parameters
    gradients.save(tmp_path / "g.json")
    assert Gradients.load(tmp_path / "g.json") == gradients


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"tracediff_gradients": 2}', '{"tracediff_gradients": 1, "parameters": 3}']
)
def test_a_bad_file_is_named(tmp_path, body):
    (tmp_path / "g.json").write_text(body)
    with pytest.raises(DataError, match="g.json"):
        Gradients.load(tmp_path / "g.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="absent.json"):
        Gradients.load(tmp_path / "absent.json")
