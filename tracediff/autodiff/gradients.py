"""Textual gradients: feedback for one node or parameter from one run, with the context it was written in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tracediff.errors import DataError

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class GradientContext:
    """What the feedback was written about (LLM-AutoDiff, arXiv 2501.16673, eq. 6 and listings 2 to 8)."""

    inputs: Mapping[str, str]
    """Argument -> text, of the node that used the target."""
    output: str
    successor: str
    """Label of that node."""
    description: str
    ground_truth: str = ""
    final_output: str = ""


@dataclass(frozen=True, slots=True)
class Gradient:
    """Feedback for one target from one run.

    For a parameter, ``sample_id`` and ``index`` (t, the call index of the prompt node) order its
    gradients in time: eq. 8.
    """

    target: str
    """Label of a node, or name of a parameter."""
    feedback: str
    score: float
    sample_id: str
    index: int
    context: GradientContext
    is_note: bool = False
    """The sample was at or above the threshold: a short note, no engine call (eq. 12)."""


@dataclass(frozen=True, slots=True)
class Gradients:
    """Everything one backward pass found: lists in (sample order, call index, time) order."""

    parameters: Mapping[str, tuple[Gradient, ...]]
    """Parameter name -> its gradients."""
    nodes: Mapping[str, tuple[Gradient, ...]] = field(default_factory=dict)
    """``sample_id/node label`` -> the gradients that reached that node."""
    engine_calls: int = 0
    """Engine calls that were answered, re-asks included."""
    no_cause: tuple[str, ...] = ()
    """``sample_id/node label`` of the nodes for which the critic found no cause."""
    unread: tuple[str, ...] = ()
    """``sample_id/node label: reason`` where no usable reply came, so there is no gradient."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Sample id -> why its engine calls failed; such a sample has no gradients here."""
    notes: tuple[str, ...] = ()
    """Doubts: losses that had to be placed without an edge, node losses on sites that were not called."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the gradients as JSON, for ``tracediff graph RUN --gradients PATH``."""
        document = {"tracediff_gradients": _FORMAT, **asdict(self)}
        Path(path).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Gradients:
        """Return the gradients that ``save`` wrote. Raises DataError when the file is missing or is no such file."""
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
            version = document.pop("tracediff_gradients")
            assert version == _FORMAT, f"version {version!r}"
            return cls(
                parameters=_gradients(document["parameters"]),
                nodes=_gradients(document["nodes"]),
                engine_calls=document["engine_calls"],
                no_cause=tuple(document["no_cause"]),
                unread=tuple(document["unread"]),
                failed=document["failed"],
                notes=tuple(document["notes"]),
            )
        except OSError as error:
            raise DataError(f"{os.fspath(path)} can't be read: {error.strerror or error}") from error
        except (AssertionError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{os.fspath(path)} holds no gradients ({error}); expected a file of gradients.save"
            ) from error


def _gradients(found: Mapping[str, list[dict[str, Any]]]) -> dict[str, tuple[Gradient, ...]]:
    return {
        key: tuple(Gradient(**{**item, "context": GradientContext(**item["context"])}) for item in items)
        for key, items in found.items()
    }
