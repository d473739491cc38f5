"""Run files: one run as JSON lines, a header and then one record a line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracediff.capture import codec
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.values import Value
from tracediff.errors import DataError
from tracediff.scores import Score

VERSION = 1


@dataclass(frozen=True, slots=True)
class RunFile:
    """What a run file holds."""

    run_id: str
    sample_id: str
    records: tuple[SpanRecord, ...]
    output: Value = None
    output_refs: tuple[Ref, ...] = ()
    is_output_inferred: bool = False
    scores: tuple[tuple[str, Score], ...] = ()
    """(name of the score, score), in the order they were given."""
    error: str | None = None
    links: tuple[tuple[str, str, str, str], ...] = ()
    """(source, target, argument, kind) that were stated in the process."""


def write_run(path: str | Path, run: RunFile) -> None:
    """Write ``run``; the file is private to its owner, for it holds what the program was given."""
    lines = [header_to_json(run), *(codec.record_to_json(record) for record in run.records)]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)


def header_to_json(run: RunFile, **more: int) -> str:
    """Return what only the run knows (all but its records) as one line of JSON; ``more`` is added as it is."""
    header = {
        "tracediff": VERSION,
        "run_id": run.run_id,
        "sample_id": codec.encode(run.sample_id),
        "output": codec.encode(run.output),
        "output_refs": [
            [codec.encode(ref.path), ref.source, codec.encode(ref.source_path), ref.producers]
            for ref in run.output_refs
        ],
        "output_inferred": run.is_output_inferred,
        "scores": [[codec.encode(name), score.value, codec.encode(score.feedback)] for name, score in run.scores],
        "error": codec.encode(run.error),
        "links": [[codec.encode(part) for part in link] for link in run.links],
        **more,
    }
    return codec.write_tree(header)


def run_from_header(header: str, run_id: str, records: tuple[SpanRecord, ...]) -> RunFile:
    """Return the run of a header that ``header_to_json`` made; without one, a run whose output is not known.

    Raises DataError when the header was cut or is none.
    """
    if not header:
        return RunFile(run_id, "", records, is_output_inferred=True)
    try:
        found = _header(codec.read_tree(header))
    except KeyError as missing:
        raise DataError(f"the header of run {run_id} lacks {missing}") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"the header of run {run_id} can't be read: {error}") from None
    return RunFile(records=records, **{**found, "run_id": run_id})


def read_run(path: str | Path) -> RunFile:
    """Return the run in a file. Raises DataError that names the file and the line."""
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        why = error.strerror or error
        raise DataError(f"{path}: can't be read ({why}); expected a run file, as run.save writes it") from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise DataError(f"{path}: is empty; expected a run file, as run.save writes it")
    header = _at(path, numbered[0][0], lambda: _header(codec.read_tree(numbered[0][1])))
    records = tuple(_at(path, number, lambda line=line: codec.record_from_json(line)) for number, line in numbered[1:])
    return RunFile(records=records, **header)


def _header(tree: Any) -> dict[str, Any]:
    if not isinstance(tree, dict) or "tracediff" not in tree:
        raise DataError('expected a header with "tracediff": 1; a run file is written by run.save')
    if tree["tracediff"] != VERSION:
        raise DataError(f"version {tree['tracediff']!r} of run files is not known here; update tracediff")
    return {
        "run_id": str(tree["run_id"]),
        "sample_id": codec.decode(tree.get("sample_id") or ""),
        "output": codec.decode(tree.get("output")),
        "output_refs": tuple(codec.refs_from_tree(tree.get("output_refs") or [])),
        "is_output_inferred": bool(tree.get("output_inferred", False)),
        "scores": tuple(
            (codec.decode(name), Score(value, codec.decode(feedback)))
            for name, value, feedback in tree.get("scores") or []
        ),
        "error": codec.decode(tree.get("error")),
        "links": tuple(_link(link) for link in tree.get("links") or []),
    }


def _link(tree: Any) -> tuple[str, str, str, str]:
    source, target, argument, kind = (codec.decode(part) for part in tree)
    if kind not in ("data", "skip"):
        raise DataError(f"a link of kind {kind!r}; expected 'data' or 'skip'")
    return source, target, argument, kind


def _at(path: str | Path, number: int, read: Any) -> Any:
    """Return what ``read`` returns; a fault in it names file and line."""
    try:
        return read()
    except KeyError as missing:
        raise DataError(f"{path}, line {number}: lacks {missing}") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}, line {number}: {error}") from None
