"""Readings of a text of the source: raw, ``{}`` format, ``{name}``, ``{{ name }}``, ``%``, ``$name``.

A constant does not say how the program will fill it, so it enters the index in each reading that is possible.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence

from tracediff.discover.pattern import Pattern

_PERCENT = re.compile(r"%(?:\((\w+)\))?[#0\- +]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlL]?([diouxXeEfFgGcrsa%])")
_JINJA = re.compile(r"\{\{-?(.*?)-?\}\}|\{%-?.*?-?%\}|\{#.*?#\}", re.DOTALL)
_BRACED = re.compile(r"\{([A-Za-z_]\w*)\}")
_DOLLAR = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")
_NAME = re.compile(r"[A-Za-z_]\w*")


def readings(text: str, arguments: Sequence[str] = ()) -> Iterator[Pattern]:
    """Yield a pattern for each reading of ``text``; ``arguments`` name its positional fields where they are known."""
    yield Pattern((text,), ())
    if "{" in text:
        made = (_format(text, arguments), _braced(text))
        yield from (pattern for pattern in made if pattern is not None)
    elif "}}" in text:
        yield Pattern((text.replace("}}", "}"),), (), "format")
    if "%" in text and (pattern := _percent(text, arguments)) is not None:
        yield pattern
    if "$" in text and (pattern := _dollar(text)) is not None:
        yield pattern


def written(text: str, variables: Sequence[str]) -> Iterator[Pattern]:
    """Yield the patterns of a text whose fields are ``{name}`` of ``variables``: a doubled one is one, or two."""
    seen: set[tuple[str, ...]] = set()
    cuts = [(m.start(), m.end(), m[1]) for m in _BRACED.finditer(text) if m[1] in variables]
    for pattern in (_format(text, ()), _cut(text, cuts, "braced")):
        if pattern is not None and pattern.literals not in seen:
            seen.add(pattern.literals)
            yield pattern


def hint(field: str) -> str:
    """Return the name that a field expression suggests: its last identifier; may be empty."""
    names = _NAME.findall(field.split("|", maxsplit=1)[0])
    return names[-1] if names else ""


def _format(text: str, arguments: Sequence[str]) -> Pattern | None:
    literals, slots, automatic = [""], list[str](), 0
    try:
        for literal, field, _, _ in string.Formatter().parse(text):
            literals[-1] += literal
            if field is None:
                continue
            head = re.split(r"[.\[]", field, maxsplit=1)[0]
            if head == "":
                number, automatic = automatic, automatic + 1
            else:
                number = int(head) if head.isdecimal() else -1
            named = hint(field) if number < 0 or len(field) > len(head) else ""
            slots.append(named or (arguments[number] if 0 <= number < len(arguments) else ""))
            literals.append("")
    except ValueError:
        return None
    if not slots and literals == [text]:
        return None
    return Pattern(tuple(literals), tuple(slots), "format")


def _braced(text: str) -> Pattern | None:
    return _cut(text, [(m.start(), m.end(), m[1]) for m in _BRACED.finditer(text)], "braced")


def _percent(text: str, arguments: Sequence[str]) -> Pattern | None:
    literals, slots, at = [""], list[str](), 0
    for match in _PERCENT.finditer(text):
        literals[-1] += text[at : match.start()]
        at = match.end()
        if match[2] == "%":
            literals[-1] += "%"
            continue
        slots.append(match[1] or (arguments[len(slots)] if len(slots) < len(arguments) else ""))
        literals.append("")
    literals[-1] += text[at:]
    return Pattern(tuple(literals), tuple(slots), "percent") if slots else None


def _dollar(text: str) -> Pattern | None:
    literals, slots, at = [""], list[str](), 0
    for match in _DOLLAR.finditer(text):
        literals[-1] += text[at : match.start()]
        at = match.end()
        if match[1]:
            literals[-1] += "$"
            continue
        slots.append(match[2] or match[3])
        literals.append("")
    literals[-1] += text[at:]
    return Pattern(tuple(literals), tuple(slots), "dollar") if slots else None


def jinja_parts(text: str) -> Iterator[tuple[Pattern, int, int]]:
    """Yield (pattern, first line, last line) of each part between the blocks of a Jinja text, lines from 0.

    A part may be absent, or stand there several times. Nothing for a text that is no template.
    """
    slots: list[tuple[int, int, str]] = []
    start = 0
    cuts = list(_JINJA.finditer(text))
    for match in cuts:
        if match[1] is not None:
            slots.append((match.start() - start, match.end() - start, hint(match[1])))
            continue
        yield from _part(text, start, match.start(), slots)
        start, slots = match.end(), []
    if cuts:
        yield from _part(text, start, len(text), slots)


def _part(text: str, start: int, end: int, slots: list[tuple[int, int, str]]) -> Iterator[tuple[Pattern, int, int]]:
    part = text[start:end]
    pattern = _cut(part, slots, "jinja") or Pattern((part,), (), "jinja")
    if part != text:  # beside a block nobody knows where a slot ends
        pattern = pattern.trimmed() or pattern
    if pattern.words:
        lead = len(part) - len(part.lstrip())
        yield pattern, text.count("\n", 0, start + lead), text.count("\n", 0, start + len(part.rstrip()))


def _cut(text: str, slots: list[tuple[int, int, str]], reading: str) -> Pattern | None:
    """Return the pattern of ``text`` without these (start, end, name); None where there are none."""
    if not slots:
        return None
    ends = [0, *(end for _, end, _ in slots)]
    starts = [*(start for start, _, _ in slots), len(text)]
    literals = tuple(text[a:b] for a, b in zip(ends, starts, strict=True))
    return Pattern(literals, tuple(name for _, _, name in slots), reading)
