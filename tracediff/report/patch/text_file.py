"""The texts of prompts in a text, template or data file, put in another's place."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

from tracediff.discover.sections import sections
from tracediff.parameters import split
from tracediff.report.patch.change import Change
from tracediff.report.patch.forms import NotKept, Part, forms
from tracediff.report.patch.python_file import first_literal, new_pieces

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def text_changed(source: bytes, suffix: str, prompt: Change) -> bytes:
    """Return the file with the prompt's new text. Raises NotKept."""
    text = source.decode("utf-8")  # a mark at its start stays a character of it
    newline = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    if suffix == ".json":
        made = _in_json(text, prompt)
    elif suffix in _READERS:
        made = _in_block(text, prompt, _READERS[suffix])
    else:
        made = _in_text(text, prompt, is_template=suffix in _TEMPLATES)
    return made.replace("\n", newline).encode("utf-8")


_TEMPLATES = frozenset({".j2", ".jinja", ".jinja2"})


def _in_text(text: str, prompt: Change, *, is_template: bool) -> str:
    """Return a text with the prompt's new one: the prompt is all of it, or one of its sections."""
    if next(_readings(text, prompt), None) is None:
        bodies = dict.fromkeys(body for _, body, _, _ in sections(text, ""))
        own = [body for body in bodies if next(_readings(body, prompt), None) is not None]
        if own and text.count(own[0]) == 1:
            before, body, after = text.partition(own[0])
            return before + _new(body, prompt, is_template=is_template) + after
    return _new(text, prompt, is_template=is_template)


def _new(text: str, prompt: Change, *, is_template: bool = False) -> str:
    """Return a text with the prompt's new one in place of the old; one that all its readings agree on."""
    made = list(dict.fromkeys(part.written(text, new_pieces(part, n, prompt)) for part, n in _readings(text, prompt)))
    if not made:
        raise NotKept("its text is not in the file any more")
    if is_template:
        parts = [(part, n) for part, n in _readings(text, prompt) if part.kind == "jinja"]
        if parts:
            part, number = parts[0]
            return part.written(text, new_pieces(part, number, prompt))
    has_brace = any("{" in literal or "}" in literal for literal, _ in split(prompt.new, prompt.variables))
    if len(made) > 1 or (has_brace and prompt.slots):
        raise NotKept("the new text has braces, and whether the program reads them as fields is not certain")
    return made[0]


def _readings(text: str, prompt: Change) -> Iterator[tuple[Part, int]]:
    for part in forms(text):
        if (first := first_literal(part, prompt)) is not None:
            yield part, first


def _in_json(text: str, prompt: Change) -> str:
    """Return JSON with the new text in each string that is the prompt."""
    made, at, count = list[str](), 0, 0
    for match in _JSON_STRING.finditer(text):
        value = json.loads(match[0], strict=False)
        if next(_readings(value, prompt), None) is None:
            continue
        made += [text[at : match.start()], json.dumps(_new(value, prompt), ensure_ascii=match[0].isascii())]
        at = match.end()
        count += 1
    if not count:
        raise NotKept("its text is not in the file any more")
    return "".join([*made, text[at:]])


def _in_block(text: str, prompt: Change, read: Callable[[str], Any]) -> str:
    """Return YAML or TOML with the new text where the old one stands line by line; certain by reading it again."""
    before = list(_strings(read(text)))
    numbers = [n for n, value in enumerate(before) if next(_readings(value, prompt), None) is not None]
    if len(numbers) != 1:
        raise NotKept("its text is not in the file any more, or stands there more than once")
    old, new = before[numbers[0]], _new(before[numbers[0]], prompt)
    for candidate in _replaced_blocks(text, old, new):
        if _reread(candidate, read) == [*before[: numbers[0]], new, *before[numbers[0] + 1 :]]:
            return candidate
    raise NotKept("how its text is written in this file can't be kept; change it by hand")


def _reread(text: str, read: Callable[[str], Any]) -> list[str] | None:
    try:
        return list(_strings(read(text)))
    except Exception:  # what this reader raises for a file that it can't read
        return None


def _replaced_blocks(text: str, old: str, new: str) -> Iterator[str]:
    """Yield the file with the old text's lines as the new one's, in each indentation; then with quotes kept."""
    lines, block = text.split("\n"), old.rstrip("\n").split("\n")
    for at in range(len(lines) - len(block) + 1):
        head, found, _ = lines[at].partition(block[0])
        if not found or not block[0]:
            continue
        indent = head if not head.strip() else ""
        there = "\n".join(lines[at:])
        was, made = _indented(block, head, indent), _indented(new.rstrip("\n").split("\n"), head, indent)
        if there.startswith(was):
            yield "\n".join([*lines[:at], made + there.removeprefix(was)])
    if "\n" not in new and text.count(old) == 1:
        yield text.replace(old, new)
        yield text.replace(f"'{old}'", json.dumps(new)).replace(f'"{old}"', json.dumps(new))
        yield text.replace(old, json.dumps(new))


def _indented(lines: list[str], head: str, indent: str) -> str:
    return "\n".join([head + lines[0], *(indent + line if line else line for line in lines[1:])])


def _yaml(text: str) -> Any:
    try:
        return importlib.import_module("yaml").safe_load(text)
    except ModuleNotFoundError:
        raise NotKept("reading YAML needs PyYAML: pip install pyyaml") from None


_READERS: dict[str, Callable[[str], Any]] = {".toml": tomllib.loads, ".yaml": _yaml, ".yml": _yaml}


def _strings(value: Any) -> Iterator[str]:
    """Yield the texts of a document in order; other values as they are shown."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    else:
        yield value if isinstance(value, str) else repr(value)
