"""Prompts files: what an optimization leaves and a deployed program loads.

A file is JSON: per parameter its text, its variables and the hash of the code's text that it was trained from.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tracediff.errors import DataError
from tracediff.parameters import Parameter, TrainedText, slots, text_hash

Read = TypeVar("Read")

_FORMAT = 1


def save_prompts(path: str | os.PathLike[str], candidate: Mapping[str, str], parameters: Iterable[Parameter]) -> None:
    """Write a prompts file, whole or not at all.

    Args:
        path: The file; its folder must exist.
        candidate: Parameter name -> text.
        parameters: The parameters as the code declares them, for variables and the hash of the code's text.
    """
    declared = {parameter.name: parameter for parameter in parameters}
    prompts: dict[str, dict[str, Any]] = {}
    for name in sorted(candidate):
        code = declared[name].text if name in declared else candidate[name]
        prompts[name] = {
            "text": candidate[name],
            "variables": list(declared[name].variables if name in declared else slots(code)),
            "code_hash": text_hash(code),
            "code_text": code,
        }
        if name in declared and declared[name].file:
            prompts[name]["source"] = _source(declared[name])
    target = Path(path)
    body = json.dumps({"tracediff_prompts": _FORMAT, "prompts": prompts}, indent=2, ensure_ascii=True) + "\n"
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
    except OSError as error:
        raise DataError(
            f"can't write the prompts file {target}: {error.strerror or error}. Does its folder exist?"
        ) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _source(parameter: Parameter) -> dict[str, Any]:
    """Return where a parameter stands; a path from the current folder, where it lies below it."""
    file = Path(parameter.file)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return {"file": str(shown), "line": parameter.line, "is_declared": parameter.is_declared}


def load(path: str | os.PathLike[str], *, strict: bool = False) -> dict[str, TrainedText]:
    """Return the candidate of a prompts file, parameter name -> text; for ``activate`` or ``using``.

    Args:
        path: A file written by ``result.save`` or ``tracediff optimize``.
        strict: Raise PromptsMismatch where the code's text has changed since; otherwise the code's text is kept with
            a warning that shows the difference.

    Raises:
        DataError: The file is missing or is no prompts file.
    """
    return _read(path, lambda document: _texts(document, os.fspath(path), is_strict=strict))


def load_parameters(path: str | os.PathLike[str]) -> tuple[Parameter, ...]:
    """Return the parameters of a prompts file as the code had them, with where they stand. Raises DataError."""
    return _read(path, _parameters)


def _read(path: str | os.PathLike[str], read: Callable[[Any], Read]) -> Read:
    """Return what ``read`` makes of the file's document; raise DataError when it can't."""
    try:
        body = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"can't read the prompts file {os.fspath(path)}: {getattr(error, 'strerror', None) or error}. "
            "Expected a file written by result.save(...) or `tracediff optimize`."
        ) from error
    try:
        return read(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{os.fspath(path)} is no prompts file: {error}. "
            f'Expected {{"tracediff_prompts": {_FORMAT}, "prompts": {{name: {{"text", "variables", "code_hash"}}}}}}.'
        ) from error


def _entries(document: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(document, dict) or document.get("tracediff_prompts") != _FORMAT:
        raise ValueError(f'"tracediff_prompts": {_FORMAT} is missing')
    yield from document["prompts"].items()


def _parameters(document: Any) -> tuple[Parameter, ...]:
    found = []
    for name, entry in _entries(document):
        source = entry.get("source") or {}
        variables = tuple(map(str, entry.get("variables", ())))
        found.append(
            Parameter(
                name,
                str(entry["code_text"]),
                variables,
                file=str(source.get("file", "")),
                line=int(source.get("line", 0)),
                is_declared=bool(source.get("is_declared", True)),
            )
        )
    return tuple(found)


def _texts(document: Any, origin: str, *, is_strict: bool) -> dict[str, TrainedText]:
    texts = {}
    for name, entry in _entries(document):
        text, code, code_hash = entry["text"], entry.get("code_text", ""), entry["code_hash"]
        if not all(isinstance(item, str) for item in (text, code, code_hash)):
            raise TypeError(f"a text of {name!r} is no string")
        missing = [variable for variable in entry.get("variables", ()) if variable not in slots(text)]
        if missing:
            raise ValueError(f"the text of {name!r} has lost the variable {missing[0]!r}")
        texts[name] = TrainedText.of(text, code, code_hash, origin=origin, is_strict=is_strict)
    return texts
