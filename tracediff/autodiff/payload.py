"""Payload: how the program's values stand in a request: readable, bounded and unable to leave their tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tracediff.capture.values import Cut, Obj, Placeholder

MAX_LEAF_CHARS = 6_000
"""Of one text. Generous: a critic that sees the first and last words only can't judge the reasoning between."""
MAX_VALUE_CHARS = 24_000
"""Of one value, such as a whole conversation."""
MAX_REQUEST_CHARS = 240_000
"""Of all values of a request together, roughly: with many values each gets its share."""
MAX_ATTRIBUTE_CHARS = 2_000

TAGS = (
    # requests of the backward pass
    *("task", "node", "parameter", "input", "context", "output", "feedback", "verdict", "final", "expected", "score"),
    # requests of the optimizers
    *("frozen", "peer", "other", "gradient", "example", "inputs", "tried", "failed", "steps_since_improvement"),
    *("methods", "correction"),
)
"""Names of the tags that requests are made of; in a payload their ``<`` is escaped."""

_OUR_TAG = re.compile(rf"<(?=\s*/?\s*(?:{'|'.join(TAGS)})\b)", re.IGNORECASE)


def escape(text: str) -> str:
    """Return ``text`` with the ``<`` of our own tag names as ``&lt;``; every other character stays.

    >>> escape("a < b, <b>bold</b></output>")
    'a < b, <b>bold</b>&lt;/output>'
    """
    return _OUR_TAG.sub("&lt;", encodable(text))


def attribute(text: object) -> str:
    """Return ``text`` for use between the double quotes of a tag: on one line, with no quote and no bracket."""
    line = " ".join(clip(encodable(str(text)), MAX_ATTRIBUTE_CHARS).split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def encodable(text: str) -> str:
    """Return ``text`` with lone surrogates replaced, so that every client can send it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def clip(text: str, limit: int = MAX_LEAF_CHARS) -> str:
    """Return ``text``, or its head and tail with a note of how many characters were left out between them.

    The result has at most ``limit`` characters of the text itself.
    """
    left_out = len(text) - limit
    if left_out <= 0:
        return text
    head = limit * 2 // 3
    return f"{text[:head]}\n[{left_out} characters left out]\n{text[head + left_out :]}"


def text_of(value: object, limit: int = MAX_VALUE_CHARS) -> str:
    """Return a snapshot (or a plain Python value) as readable text, never its ``repr``.

    A string is itself; a chat message is its role and content; other containers are one entry a line.
    """
    return clip("\n".join(_lines(value)), limit)


def share(values: int) -> int:
    """Return how many characters each of so many values may have in one request."""
    return max(500, min(MAX_VALUE_CHARS, MAX_REQUEST_CHARS // max(values, 1)))


def output_text(value: object, limit: int = MAX_VALUE_CHARS) -> str:
    """Return what a call put out as text; of a message that holds nothing else, its content alone."""
    fields = value.fields if isinstance(value, Obj) else value
    if isinstance(fields, Mapping) and isinstance(content := fields.get("content"), str):
        others = (item for key, item in fields.items() if key not in ("role", "content"))
        return text_of(value if any(others) else content, limit)
    return text_of(value, limit)


def _lines(value: object) -> Iterator[str]:
    """Yield the lines of a value."""
    match value:
        case None:
            yield ""
        case bool():
            yield "true" if value else "false"
        case str():
            yield from clip(value).split("\n")
        case Cut():
            yield from _lines(value.head)
            yield f"[the whole has {value.length} characters or entries; the rest was not recorded]"
        case Placeholder():
            yield f"[{value.type}: not shown]"
        case Obj():
            yield from _entries(value.fields)
        case Mapping():
            yield from _entries(value)
        case list() | tuple():
            for item in value:
                yield from _lines(item) if _is_message(item) else _entry("-", item)
        case _:
            yield str(value)


def _is_message(value: object) -> bool:
    """Whether a value is a chat message: a role and a content."""
    fields = value.fields if isinstance(value, Obj) else value
    return isinstance(fields, Mapping) and isinstance(fields.get("role"), str) and "content" in fields


def _entries(fields: Mapping[object, object] | Mapping[str, object]) -> Iterator[str]:
    """Yield the lines of a mapping; a chat message reads ``[role]`` and then its content."""
    shown = {str(key): item for key, item in fields.items() if item is not None and item not in ("", [], {})}
    if _is_message(fields):
        yield f"[{shown.pop('role', '')}]"
        yield from _lines(shown.pop("content", None))
    for key, item in shown.items():
        yield from _entry(f"{key}:", item)


def _entry(head: str, value: object) -> Iterator[str]:
    """Yield one entry: on the head's line where it has one line, else indented below it."""
    lines = list(_lines(value))
    if len(lines) == 1:
        yield f"{head} {lines[0]}"
        return
    if head == "-":
        yield f"- {lines[0]}"
        yield from (f"  {line}" for line in lines[1:])
        return
    yield head
    yield from (f"  {line}" for line in lines)
