"""Prompts files: what an optimization leaves and a deployed program loads.

A file is JSON: per parameter its text, its variables and the hash of the code's text that it was trained from.
"""

from __future__ import annotations

import difflib
import json
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracediff.errors import DataError, PromptsMismatch
from tracediff.parameters import Parameter, slots, text_hash

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    """One entry of a prompts file."""

    text: str
    variables: tuple[str, ...]
    code_hash: str
    """Hash of the text that stood in the code when this one was trained."""
    code_text: str


class Prompts(Mapping[str, str]):
    """A candidate read from a file: parameter name -> text, with the code each text was trained from."""

    __slots__ = ("entries", "path", "strict")

    def __init__(self, entries: Mapping[str, StoredPrompt], path: str = "", *, strict: bool = False) -> None:
        self.entries = dict(entries)
        self.path = path
        self.strict = strict

    def __getitem__(self, name: str) -> str:
        return self.entries[name].text

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"Prompts({dict(self)!r})"

    def text_for(self, name: str, code_text: str) -> str | None:
        """Return the text for a parameter whose code says ``code_text``; None when the code has changed since.

        Warns with the difference once per name, or raises PromptsMismatch when ``strict``.
        """
        entry = self.entries.get(name)
        if entry is None or entry.code_hash == text_hash(code_text):
            return entry and entry.text
        difference = "\n".join(
            difflib.unified_diff(
                entry.code_text.splitlines(), code_text.splitlines(), "code then", "code now", lineterm=""
            )
        )
        message = (
            f"the prompt {name!r} in {self.path or 'the prompts file'} was trained from another text "
            f"than the code has now.\n"
            f"{difference}\nOptimize again from the new text, or put the old one back."
        )
        if self.strict:
            raise PromptsMismatch(message)
        warnings.warn(message + " The code's text is kept.", stacklevel=2)
        return None


def save_prompts(path: str | os.PathLike[str], candidate: Mapping[str, str], parameters: Iterable[Parameter]) -> None:
    """Write a prompts file, whole or not at all.

    Args:
        path: The file; its folder must exist.
        candidate: Parameter name -> text.
        parameters: The parameters as the code declares them, for variables and the hash of the code's text.
    """
    declared = {parameter.name: parameter for parameter in parameters}
    prompts = {}
    for name in sorted(candidate):
        code = declared[name].text if name in declared else candidate[name]
        prompts[name] = {
            "text": candidate[name],
            "variables": list(declared[name].variables if name in declared else slots(code)),
            "code_hash": text_hash(code),
            "code_text": code,
        }
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


def load(path: str | os.PathLike[str], *, strict: bool = False) -> Prompts:
    """Return the candidate of a prompts file, for ``tracediff.activate`` or ``tracediff.using``.

    Args:
        path: A file written by ``result.save`` or ``tracediff optimize``.
        strict: Raise PromptsMismatch where the code's text has changed since; otherwise the code's text is kept with
            a warning that shows the difference.

    Raises:
        DataError: The file is missing or is no prompts file.
    """
    try:
        body = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"can't read the prompts file {os.fspath(path)}: {error.strerror or error}. "
            "Expected a file written by result.save(...) or `tracediff optimize`."
        ) from error
    try:
        prompts = _entries(json.loads(body))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{os.fspath(path)} is no prompts file: {error}. "
            f'Expected {{"tracediff_prompts": {_FORMAT}, "prompts": {{name: {{"text", "variables", "code_hash"}}}}}}.'
        ) from error
    return Prompts(prompts, os.fspath(path), strict=strict)


def _entries(document: Any) -> dict[str, StoredPrompt]:
    if not isinstance(document, dict) or document.get("tracediff_prompts") != _FORMAT:
        raise ValueError(f'"tracediff_prompts": {_FORMAT} is missing')
    entries = {}
    for name, entry in document["prompts"].items():
        text = entry["text"]
        if not isinstance(text, str):
            raise TypeError(f"the text of {name!r} is no string")
        variables = tuple(entry.get("variables", ()))
        missing = [variable for variable in variables if variable not in slots(text)]
        if missing:
            raise ValueError(f"the text of {name!r} has lost the variable {missing[0]!r}")
        entries[name] = StoredPrompt(text, variables, entry["code_hash"], entry.get("code_text", ""))
    return entries
