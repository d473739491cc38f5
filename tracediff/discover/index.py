"""The index of the user's source: every text of the loaded modules, and of the text files beside them, read once."""

from __future__ import annotations

import ast
import importlib
import json
import linecache
import os
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tracediff.capture.callsite import is_library
from tracediff.capture.names import module_name
from tracediff.discover.given import given_templates
from tracediff.discover.sections import sections
from tracediff.discover.source import Template, templates_of, texts_of

_TEXT_FILES = frozenset(
    {".txt", ".md", ".j2", ".jinja", ".jinja2", ".tmpl", ".tpl", ".prompt", ".mustache", ".hbs", ".prompty"}
)
_DATA_FILES = frozenset({".json", ".toml", ".yaml", ".yml"})
_MAX_BYTES = 200_000
_MAX_FILES = 300
_MAX_DEPTH = 3
_MAX_ITEMS = 10
"""A list of more in a data file holds records, such as the paragraphs of a corpus: no prompts."""
_SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "build", "dist"})


class SourceIndex:
    """Templates of the modules that were loaded when it was last asked; a file is read once."""

    def __init__(self) -> None:
        self._read: dict[str, list[Template]] = {}
        self._folders: set[str] = set()

    def templates(self, files: Iterable[tuple[str, str]] = ()) -> tuple[Template, ...]:
        """Return every template, modules in order of import, then the text files beside them, then what was given.

        ``files`` are (module, file) of more modules, such as a script that has ended.
        """
        for name, file in (*_user_modules(), *(known for known in files if known[1].endswith(".py"))):
            if file not in self._read:
                self._read[file] = _of_module(name, file)
            folder = os.path.dirname(file)  # noqa: PTH120 - a notebook cell's file is no path
            if folder and folder not in self._folders and os.path.isdir(folder):  # noqa: PTH112
                self._folders.add(folder)
                self._read_folder(Path(folder))
        read = tuple(template for found in self._read.values() for template in found)
        return (*read, *given_templates())

    def _read_folder(self, folder: Path) -> None:
        for path in _text_files(folder):
            if str(path) in self._read:
                continue
            relative = ".".join(path.relative_to(folder).parts)
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            self._read[str(path)] = texts_of(_texts(text, path.suffix, relative), str(path))


def _user_modules() -> Iterator[tuple[str, str]]:
    """Yield (name, file) of the loaded modules that are neither installed nor of the standard library."""
    for module in list(sys.modules.values()):
        namespace = getattr(module, "__dict__", {})
        file = namespace.get("__file__")
        name = namespace.get("__name__")
        if not isinstance(file, str) or not isinstance(name, str) or not file.endswith(".py"):
            continue
        if not is_library(file, name.partition(".")[0]):
            linecache.lazycache(file, namespace)  # a module of a zip file knows its source
            yield module_name(namespace), file
    for file in list(linecache.cache):
        if file.startswith("<ipython-input-") or f"{os.sep}ipykernel_" in file:
            yield "__main__", file


def _of_module(name: str, file: str) -> list[Template]:
    lines = linecache.getlines(file)
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError, RecursionError):  # a cell with magics, a file of another Python
        return []
    return templates_of(tree, name, file)


def _text_files(folder: Path) -> Iterator[Path]:
    """Yield the text and template files in a folder and a few levels below it."""
    count = 0
    for place, folders, files in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        kept = [f for f in folders if f not in _SKIPPED and not f.startswith(".")] if depth < _MAX_DEPTH else []
        folders[:] = sorted(kept)
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix not in _TEXT_FILES | _DATA_FILES or path.stat().st_size > _MAX_BYTES:
                continue
            count += 1
            if count > _MAX_FILES:
                return
            yield path


def _texts(text: str, suffix: str, name: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield (name, text, line, end line) of what a file holds: itself, or the texts in its fields."""
    if suffix in _TEXT_FILES:
        yield name, text, 1, max(1, len(text.splitlines()))
        yield from sections(text, name)
        return
    lines = text.splitlines()
    for path, value in _strings(_parsed(text, suffix), name):
        first = next((line for line in value.splitlines() if line.strip()), "")
        shown = json.dumps(first.strip())[1:-1]
        at = next((n for n, line in enumerate(lines, 1) if first.strip() in line or shown in line), 1)
        yield path, value, at, at + max(0, len(value.splitlines()) - 1)


def _parsed(text: str, suffix: str) -> Any:
    try:
        if suffix == ".json":
            return json.loads(text)
        if suffix == ".toml":
            return tomllib.loads(text)
        return importlib.import_module("yaml").safe_load(text)
    except Exception:  # not what its name says, or no reader for it is installed
        return None


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _strings(inner, f"{path}.{key}")
    elif isinstance(value, list) and len(value) <= _MAX_ITEMS:
        for number, inner in enumerate(value):
            yield from _strings(inner, f"{path}.{number}")
