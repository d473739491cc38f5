"""The parameters file: the prompts that were discovered, for a person to read and edit.

JSON. A text of several lines is a list of its lines. To keep a prompt as it is, set its status to ``frozen`` or delete
the entry; to give it another name, a role or guidance, edit those. A step that is not wanted is deleted. The text
itself says where the prompt is recognised: it is changed in the source, or by training, not here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from tracediff.discover.pattern import Pattern
from tracediff.discover.steps import Step
from tracediff.errors import DataError
from tracediff.parameters import Parameter, split, text_hash

FORMAT = 1
Status: TypeAlias = Literal["trainable", "ask", "frozen", "unlocated"]
_STATUSES = get_args(Status)


@dataclass(frozen=True, slots=True)
class Discovered:
    """One prompt of a program that nobody decorated."""

    name: str
    text: str
    """As the model reads it, with ``{name}`` for each variable."""
    variables: tuple[str, ...] = ()
    status: Status = "trainable"
    role: str = ""
    file: str = ""
    line: int = 0
    end_line: int = 0
    sites: tuple[str, ...] = ()
    """The user's functions that sent it."""
    note: str = ""
    """Why it is not trainable, or what is to be known."""
    instruction: str = ""
    max_chars: int | None = None
    frozen: tuple[str, ...] = ()
    """Parts that a proposal must keep."""

    @property
    def pattern(self) -> Pattern:
        """Return what the text is recognised by."""
        pieces = list(split(self.text, self.variables))
        return Pattern(tuple(literal for literal, _ in pieces), tuple(v for _, v in pieces if v is not None))

    def parameter(self, text: str | None = None) -> Parameter:
        """Return the parameter, with ``text`` in place of the code's."""
        return Parameter(
            self.name,
            self.text if text is None else text,
            self.variables,
            role=self.role,
            instruction=self.instruction,
            trainable=self.status == "trainable",
            frozen=self.frozen,
            max_chars=self.max_chars,
            file=self.file,
            line=self.line,
            is_declared=False,
        )


@dataclass(frozen=True, slots=True)
class ParameterFile:
    """What a parameters file holds."""

    program: str
    parameters: tuple[Discovered, ...]
    unexplained: tuple[Mapping[str, str], ...] = field(default=())
    """Texts of requests that no source text explains: role, site and the text's beginning. For the reader only."""
    steps: tuple[Step, ...] = ()
    """The program's functions between its model calls, which training records as nodes."""


def save(path: str | os.PathLike[str], found: ParameterFile) -> None:
    """Write a parameters file. Raises DataError when it can't be written."""
    entries = [_to_json(parameter) for parameter in found.parameters]
    document: dict[str, Any] = {"tracediff_parameters": FORMAT, "program": found.program, "parameters": entries}
    if found.steps:
        document["steps"] = [asdict(step) for step in found.steps]
    if found.unexplained:
        document["unexplained"] = list(found.unexplained)
    try:
        Path(path).write_text(
            json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", errors="surrogatepass"
        )
    except OSError as error:
        raise DataError(f"can't write the parameters file {os.fspath(path)}: {error.strerror or error}") from error


def _to_json(parameter: Discovered) -> dict[str, Any]:
    lines = parameter.text.splitlines(keepends=True)
    entry: dict[str, Any] = {
        "name": parameter.name,
        "status": parameter.status,
        "role": parameter.role,
        "text": lines if len(lines) > 1 else parameter.text,
        "variables": list(parameter.variables),
        "file": parameter.file,
        "line": parameter.line,
        "end_line": parameter.end_line,
        "sites": list(parameter.sites),
        "text_hash": text_hash(parameter.text),
    }
    optional = {
        "note": parameter.note,
        "instruction": parameter.instruction,
        "max_chars": parameter.max_chars,
        "frozen": list(parameter.frozen),
    }
    return entry | {key: value for key, value in optional.items() if value}


def load(path: str | os.PathLike[str]) -> ParameterFile:
    """Return what a parameters file holds. Raises DataError, naming the entry and what to do."""
    where = os.fspath(path)
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8", errors="surrogatepass"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"can't read the parameters file {where}: {getattr(error, 'strerror', None) or error}. "
            "Expected a file written by `tracediff discover`"
        ) from error
    if not isinstance(document, dict) or document.get("tracediff_parameters") != FORMAT:
        raise DataError(
            f'{where} is no parameters file: "tracediff_parameters": {FORMAT} is missing. '
            "Write one with `tracediff discover MODULE:PROGRAM --samples FILE`"
        )
    entries = document.get("parameters")
    if not isinstance(entries, list):
        raise DataError(f'{where}: "parameters" must be a list of entries')
    parameters = tuple(_from_json(entry, f"{where}: parameters[{at}]") for at, entry in enumerate(entries))
    _check_names(parameters, where)
    steps = document.get("steps") or []
    if not isinstance(steps, list):
        raise DataError(f'{where}: "steps" must be a list of entries')
    read = tuple(_step_from_json(entry, f"{where}: steps[{at}]") for at, entry in enumerate(steps))
    _check_names(read, where)
    return ParameterFile(str(document.get("program", "")), parameters, (), read)


def _step_from_json(entry: Any, where: str) -> Step:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise DataError(f'{where}: an entry needs a "name"')
    where = f"{where} ({entry['name']})"
    kind = _word(entry, "kind", where) or "function"
    return Step(
        entry["name"],
        kind,
        _word(entry, "role", where),
        _word(entry, "file", where),
        _number(entry, "line", where) or 0,
    )


def _from_json(entry: Any, where: str) -> Discovered:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise DataError(f'{where}: an entry needs a "name"')
    where = f"{where} ({entry['name']})"
    text = entry.get("text")
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        text = "".join(text)
    if not isinstance(text, str) or not text.strip():
        raise DataError(f'{where}: "text" must be a text, or a list of lines')
    if entry.get("text_hash") != text_hash(text):
        raise DataError(
            f"{where}: the text was edited. It is what the prompt is recognised by: change it in "
            f"{entry.get('file') or 'the source'} and run `tracediff discover` again, or start from another text with "
            "tracediff.using"
        )
    status: Any = entry.get("status")
    if status not in _STATUSES:
        raise DataError(f'{where}: "status" must be one of {", ".join(_STATUSES)}, not {status!r}')
    return Discovered(
        entry["name"],
        text,
        _names(entry, "variables", where),
        status,
        _word(entry, "role", where),
        _word(entry, "file", where),
        _number(entry, "line", where) or 0,
        _number(entry, "end_line", where) or 0,
        _names(entry, "sites", where),
        _word(entry, "note", where),
        _word(entry, "instruction", where),
        _number(entry, "max_chars", where),
        _names(entry, "frozen", where),
    )


def _word(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key) or ""
    if not isinstance(value, str):
        raise DataError(f'{where}: "{key}" must be a text')
    return value


def _number(entry: Mapping[str, Any], key: str, where: str) -> int | None:
    value = entry.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise DataError(f'{where}: "{key}" must be a number')
    return value


def _names(entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = entry.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DataError(f'{where}: "{key}" must be a list of texts')
    return tuple(value)


def _check_names(entries: Sequence[Discovered | Step], where: str) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise DataError(f"{where}: two entries are named {entry.name!r}. Give each its own name")
        seen.add(entry.name)


def trainable(parameters: Iterable[Discovered]) -> tuple[Discovered, ...]:
    """Return those that training may change."""
    return tuple(parameter for parameter in parameters if parameter.status == "trainable")
