"""Readings of a text of the source: raw, ``{}`` format, ``{name}``, ``{{ name }}``, ``%``, ``$name``.

A constant does not say how the program will fill it, so it enters the index in each reading that is possible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tracediff.discover.fields import Read, read_braced, read_dollar, read_format, read_jinja, read_percent
from tracediff.discover.pattern import Pattern

_NAME = re.compile(r"[A-Za-z_]\w*")


def readings(text: str, arguments: Sequence[str] = ()) -> Iterator[Pattern]:
    """Yield a pattern for each reading of ``text``; ``arguments`` name its positional fields where they are known."""
    yield Pattern((text,), ())
    if "{" in text:
        made = (_format(text, arguments), _of(read_braced(text), "braced"))
        yield from (pattern for pattern in made if pattern is not None)
    elif "}}" in text:
        yield Pattern((text.replace("}}", "}"),), (), "format")
    if "%" in text and (pattern := _percent(text, arguments)) is not None:
        yield pattern
    if "$" in text and (pattern := _of(read_dollar(text), "dollar")) is not None:
        yield pattern


def written(text: str, variables: Sequence[str]) -> Iterator[Pattern]:
    """Yield the patterns of a text whose fields are ``{name}`` of ``variables``: a doubled one is one, or two."""
    seen: set[tuple[str, ...]] = set()
    for pattern in (_format(text, ()), _named(text, variables)):
        if pattern is not None and pattern.literals not in seen:
            seen.add(pattern.literals)
            yield pattern


def hint(field: str) -> str:
    """Return the name that a field expression suggests: its last identifier; may be empty."""
    names = _NAME.findall(field.split("|", maxsplit=1)[0])
    return names[-1] if names else ""


def _of(read: Read, reading: str, names: Sequence[str] | None = None) -> Pattern | None:
    """Return the pattern of what was read; None where there is no field."""
    return (
        Pattern(tuple(read.literals), tuple(read.names if names is None else names), reading) if read.fields else None
    )


def _format(text: str, arguments: Sequence[str]) -> Pattern | None:
    read = read_format(text)
    if not read.fields and read.literals == [text]:
        return None
    slots, automatic = list[str](), 0
    for name in read.names:
        head = re.split(r"[.\[]", name, maxsplit=1)[0]
        if head == "":
            number, automatic = automatic, automatic + 1
        else:
            number = int(head) if head.isdecimal() else -1
        named = hint(name) if number < 0 or len(name) > len(head) else ""
        slots.append(named or (arguments[number] if 0 <= number < len(arguments) else ""))
    return Pattern(tuple(read.literals), tuple(slots), "format")


def _named(text: str, variables: Sequence[str]) -> Pattern | None:
    """Return the text with ``{name}`` of these variables only."""
    read, every = Read(), read_braced(text)
    for literal, field, name in zip(every.literals, every.fields, every.names, strict=False):
        read.say(literal)
        if name in variables:
            read.fill(field, name)
        else:
            read.say(field)
    read.say(every.literals[-1])
    return _of(read, "braced")


def _percent(text: str, arguments: Sequence[str]) -> Pattern | None:
    read = read_percent(text)
    given = [name or (arguments[n] if n < len(arguments) else "") for n, name in enumerate(read.names)]
    return _of(read, "percent", given)


def jinja_parts(text: str) -> Iterator[tuple[Pattern, int, int]]:
    """Yield (pattern, first line, last line) of each part between the blocks of a Jinja text, lines from 0.

    A part may be absent, or stand there several times. Nothing for a text that is no template.
    """
    for start, end, read in read_jinja(text):
        part = text[start:end]
        pattern = Pattern(tuple(read.literals), tuple(map(hint, read.names)), "jinja")
        if part != text:  # beside a block nobody knows where a slot ends
            pattern = pattern.trimmed() or pattern
        if pattern.words:
            lead = len(part) - len(part.lstrip())
            yield pattern, text.count("\n", 0, start + lead), text.count("\n", 0, start + len(part.rstrip()))
