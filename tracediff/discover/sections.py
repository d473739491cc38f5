"""Sections of a text file: what stands between its headings, rules, roles or tags, each a prompt of its own perhaps."""

from __future__ import annotations

import re
from collections.abc import Iterator

_MARKS = (
    re.compile(r"([-=*_~+])\1{2,}\s*\Z"),
    re.compile(r"#\s+(?P<title>\S.*)"),
    re.compile(r"##\s+(?P<title>\S.*)"),
    re.compile(r"###\s+(?P<title>\S.*)"),
    re.compile(r"\W*(?P<title>system|developer|user|human|assistant|instructions?|prompt)\W*\Z", re.IGNORECASE),
    re.compile(r"(?:\[/?(?P<title>\w+)\]|</?(?P<tag>\w+)>)\s*\Z"),
)
"""Kinds of lines that divide a file. A file is divided by each kind for itself: nobody knows which the program uses."""


def sections(text: str, name: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield (name, text, line, end line) of the parts between the lines of each kind that divide a file."""
    lines = text.splitlines(keepends=True)
    for mark in _MARKS:
        found = [(number, match) for number, line in enumerate(lines) if (match := mark.match(line))]
        if not found:
            continue
        ends = [*(number for number, _ in found[1:]), len(lines)]
        if found[0][0]:
            yield name, "".join(lines[: found[0][0]]), 1, found[0][0]
        for (number, match), end in zip(found, ends, strict=True):
            if body := "".join(lines[number + 1 : end]).strip():
                named = match.groupdict()
                title = "_".join(re.findall(r"\w+", named.get("title") or named.get("tag") or "")).lower()
                yield ".".join(filter(None, [name, title])), body, number + 2, end
