"""What a program does to a text of its source before it sends it, and the text that comes out as another after that.

Some texts are indented in the source and dedented when they are used, or joined from their words. Each such way is
tried on the old text; the new one is put through its inverse, and back again to be certain.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence

from tracediff.parameters import split
from tracediff.report.patch.forms import NotKept

_FIRST_MARK = 0xF0000  # a plane of private use: one character stands for one slot


def reshaped(
    source: Sequence[str], sent: Sequence[str], variables: Sequence[str], new: str, *, is_exact: bool = False
) -> tuple[list[str], list[int]]:
    """Return the source's literals for the new text, and which old slot stands in each of its slots.

    Args:
        source: Literals as the source has them.
        sent: Literals as the model read them; equal but for whitespace.
        variables: Name of each slot, in order.
        new: The text to be sent, with ``{name}`` for each variable.
        is_exact: The program sends the text as the source has it, whitespace at its ends included.

    Raises:
        NotKept: No way that is known leads from the source to what was sent, or none back.
    """
    old, was, wanted = _marked(source), _marked(sent), _wanted(new, variables)
    if is_exact and old == was:
        return _unmarked(wanted, len(variables))
    if was.strip() == was and wanted.strip() != wanted:
        raise NotKept("the new text begins or ends with whitespace, which the program may strip")
    lead, trail = old[: len(old) - len(old.lstrip())], old[len(old.rstrip()) :]
    for forward, backward in _ways(old):
        if forward(old).strip() != was.strip():
            continue
        made = lead + backward(wanted.strip()) + trail if was.strip() == was else backward(wanted)
        if forward(made).strip() == wanted.strip():
            return _unmarked(made, len(variables))
    raise NotKept("the program changes the whitespace of this text in a way that is not known")


def _ways(old: str) -> Iterator[tuple[Callable[[str], str], Callable[[str], str]]]:
    """Yield (what the program does, its inverse for a text beside ``old``)."""
    lines = old.split("\n")
    yield lambda text: text, lambda text: text
    yield textwrap.dedent, _indenter(_margin(lines))
    yield inspect.cleandoc, _indenter(_margin(lines[1:]))
    yield lambda text: " ".join(text.split()), lambda text: text
    yield lambda text: "\n".join(line.strip() for line in text.split("\n")), _indenter(_margin(lines[1:]))


def _indenter(margin: str) -> Callable[[str], str]:
    """Return what puts a margin before every line but the first, which follows what is there."""

    def indented(text: str) -> str:
        first, *others = text.split("\n")
        return "\n".join([first, *(margin + line if line.strip() else line for line in others)])

    return indented


def _margin(given: Sequence[str]) -> str:
    """Return the whitespace that every line with words begins with."""
    lines = [line for line in given if line.strip()]
    if not lines:
        return ""
    shortest = min((line[: len(line) - len(line.lstrip())] for line in lines), key=len)
    return shortest if all(line.startswith(shortest) for line in lines) else ""


def _marked(literals: Sequence[str]) -> str:
    made = literals[0]
    for number, literal in enumerate(literals[1:]):
        made += chr(_FIRST_MARK + number) + literal
    return made


def _wanted(new: str, variables: Sequence[str]) -> str:
    """Return the new text with marks: the first slot of a name for its first use, and so on."""
    places: dict[str, list[int]] = {}
    for number, name in enumerate(variables):
        places.setdefault(name, []).append(number)
    made = []
    for literal, variable in split(new, tuple(variables)):
        made.append(literal)
        if variable is not None:
            slots = places[variable]
            made.append(chr(_FIRST_MARK + (slots.pop(0) if len(slots) > 1 else slots[0])))
    return "".join(made)


def _unmarked(text: str, count: int) -> tuple[list[str], list[int]]:
    literals, slots = [""], list[int]()
    for char in text:
        number = ord(char) - _FIRST_MARK
        if 0 <= number < count:
            slots.append(number)
            literals.append("")
        else:
            literals[-1] += char
    return literals, slots
