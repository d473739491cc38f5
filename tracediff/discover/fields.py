"""Fields of a text: where each way of filling it puts a value, and what the text says between them.

A constant does not say how the program fills it: each way reads it for itself. Patterns are made from what is read, and
a text is written back into its source by it.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_PERCENT = re.compile(r"%(?:\((\w+)\))?[#0\- +]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlL]?([diouxXeEfFgGcrsa%])")
_JINJA = re.compile(r"\{\{-?(.*?)-?\}\}|\{%-?.*?-?%\}|\{#.*?#\}", re.DOTALL)
_BRACED = re.compile(r"\{([A-Za-z_]\w*)\}")
_DOLLAR = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")


@dataclass(slots=True)
class Read:
    """A text read in one way: ``n + 1`` literals, as the model reads them, for ``n`` fields."""

    literals: list[str] = field(default_factory=lambda: [""])
    fields: list[str] = field(default_factory=list)
    """As they are written."""
    names: list[str] = field(default_factory=list)
    """What they say of their value: an expression, a number, or nothing."""

    def say(self, literal: str) -> None:
        """Go on with a literal."""
        self.literals[-1] += literal

    def fill(self, written: str, name: str) -> None:
        """Go on with a field."""
        self.fields.append(written)
        self.names.append(name)
        self.literals.append("")


def read_format(text: str) -> Read:
    """Return ``text`` as ``str.format`` reads it; all of it as one literal where that refuses it."""
    read = Read()
    try:
        for literal, name, spec, conversion in string.Formatter().parse(text):
            read.say(literal)
            if name is not None:
                told = (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
                read.fill("{" + name + told + "}", name)
    except ValueError:
        return Read([text])
    return read


def read_percent(text: str) -> Read:
    """Return ``text`` as ``%`` reads it."""
    read = Read()
    for match, before in _cut(_PERCENT, text, read):
        read.say(before)
        if match[2] == "%":
            read.say("%")
        else:
            read.fill(match[0], match[1] or "")
    return read


def read_dollar(text: str) -> Read:
    """Return ``text`` as ``string.Template`` reads it."""
    read = Read()
    for match, before in _cut(_DOLLAR, text, read):
        read.say(before)
        if match[1]:
            read.say("$")
        else:
            read.fill(match[0], match[2] or match[3])
    return read


def read_braced(text: str) -> Read:
    """Return ``text`` with each ``{name}`` as a field and every other brace as text."""
    read = Read()
    for match, before in _cut(_BRACED, text, read):
        read.say(before)
        read.fill(match[0], match[1])
    return read


def _cut(form: re.Pattern[str], text: str, read: Read) -> Iterator[tuple[re.Match[str], str]]:
    """Yield each place of ``form`` with the text before it; what follows the last is said at the end."""
    at = 0
    for match in form.finditer(text):
        yield match, text[at : match.start()]
        at = match.end()
    read.say(text[at:])


class Between(NamedTuple):
    """A part of a Jinja text between its blocks."""

    start: int
    end: int
    read: Read


def read_jinja(text: str) -> Iterator[Between]:
    """Yield the parts between the blocks of a Jinja text; nothing for a text that is no template."""
    read, start, at = Read(), 0, 0
    is_template = False
    for match in _JINJA.finditer(text):
        is_template = True
        read.say(text[at : match.start()])
        at = match.end()
        if match[1] is not None:
            read.fill(match[0], match[1])
        else:
            yield Between(start, match.start(), read)
            read, start = Read(), at
    if is_template:
        read.say(text[at:])
        yield Between(start, len(text), read)
