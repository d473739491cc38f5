"""The report of a training run: one HTML page that shows why each prompt was changed."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tracediff.errors import UsageError
from tracediff.report import story as stories
from tracediff.store import load
from tracediff.training.budget import PURPOSES
from tracediff.training.result import reporters

Diff = list[tuple[str, str]]
"""(``same``, ``added`` or ``removed``, line)."""


def of_folder(run_dir: str | os.PathLike[str]) -> str:
    """Return the page of a run folder; raise JournalError or DataError when it is none."""
    best = load(Path(run_dir) / "prompts.json")
    start = {name: text.code_text for name, text in best.items()}
    return page(stories.of_run(run_dir, start, {name: str(text) for name, text in best.items()}))


def page(story: stories.Story) -> str:
    """Return the page: scores, cost, what changed, and every step with its feedback, proposals and decisions."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tracediff.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    incumbents = {step.number: {**story.start, **story.texts.get(step.incumbent, {})} for step in story.steps}
    return environment.get_template("run.html.jinja").render(
        story=story,
        purposes=[p for p in PURPOSES if p in story.calls],
        changes=[(name, changes(story.start.get(name, ""), text)) for name, text in story.best.items()],
        against=lambda step, proposal: changes(incumbents[step.number].get(proposal.parameter, ""), proposal.text),
        curve=curve(story.curve, max((step.number for step in story.steps), default=0)),
    )


def write(run_dir: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Write the page of a run folder to ``path``."""
    text = of_folder(run_dir)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"can't write {os.fspath(path)}: {error.strerror or error}") from error


def changes(before: str, after: str) -> Diff:
    """Return ``after`` line by line against ``before``."""
    kinds = {" ": "same", "+": "added", "-": "removed"}
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [(kinds[line[0]], line[2:]) for line in lines if line[0] in kinds]


def curve(points: Sequence[tuple[int, float]], last: int) -> Mapping[str, object]:
    """Return the geometry of the validation curve: a path of steps in a box of 640 by 160, and its points."""
    return {"path": " ".join(_path(points, last)), "points": [(*_place(p, last), p) for p in points]}


def _path(points: Sequence[tuple[int, float]], last: int) -> Iterator[str]:
    for at, point in enumerate(points):
        x, y = _place(point, last)
        yield f"M{x:.1f} {y:.1f}" if at == 0 else f"H{x:.1f} V{y:.1f}"
    if points:
        yield f"H{_place((last, 0.0), last)[0]:.1f}"


def _place(point: tuple[int, float], last: int) -> tuple[float, float]:
    return 40 + 590 * point[0] / max(last, 1), 140 - 125 * point[1]


# What ``result.report(path)`` calls: this room is above the one that makes results.
reporters["html"] = write
