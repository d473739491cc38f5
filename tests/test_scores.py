"""Scores: numbers in [0, 1] and nothing else."""

import numpy as np
import pytest

from tracediff.errors import MetricError
from tracediff.scores import Score


@pytest.mark.parametrize(
    ("given", "value"), [(1, 1.0), (True, 1.0), (0.25, 0.25), (np.float32(0.5), 0.5), (np.bool_(1), 1.0)]
)
def test_numbers_are_scores(given, value):
    score = Score.of(given)
    assert score.value == value
    assert type(score.value) is float


@pytest.mark.parametrize("given", ["1", b"1", None, [1], float("nan"), float("inf"), -0.1, 1.01])
def test_anything_else_is_not(given):
    with pytest.raises(MetricError, match=r"\[0, 1\]"):
        Score.of(given)


def test_a_score_stays_itself():
    score = Score(0.5, "too long")
    assert Score.of(score) is score
