"""Plain values with their provenance beside them: the ground truth of generated programs, by construction."""

from __future__ import annotations

import json
from typing import NamedTuple


class Prov(NamedTuple):
    """Who wrote a stretch of text: the strict producer, and everyone on the path who held it."""

    producer: tuple
    holders: frozenset


class Text:
    """A string and who wrote each stretch of it."""

    def __init__(self, segments, obj=None):
        self.segments = [(text, prov) for text, prov in segments if text]
        self.obj = "".join(text for text, _ in self.segments) if obj is None else obj

    @property
    def texts(self):
        return [self]

    def provs(self):
        return [prov for text, prov in self.segments if prov is not None and any(map(str.isalnum, text))]

    def __len__(self):
        return len(self.obj)

    def slice(self, start, end=None):
        end = len(self.obj) if end is None else min(end, len(self.obj))
        if start == 0 and end == len(self.obj):
            return self
        found, at = [], 0
        for text, prov in self.segments:
            low, high = max(start - at, 0), min(end - at, len(text))
            if low < high:
                found.append((text[low:high], prov))
            at += len(text)
        return Text(found)

    def mapped(self, function):
        new = function(self.obj)
        assert len(new) == len(self.obj)
        found, at = [], 0
        for text, prov in self.segments:
            found.append((new[at : at + len(text)], prov))
            at += len(text)
        return Text(found)

    def lower(self):
        return self.mapped(str.lower)

    def title(self):
        return self.mapped(str.title)

    def upper(self):
        return self.mapped(str.upper)

    def strip(self):
        left = len(self.obj) - len(self.obj.lstrip())
        return self.slice(left, len(self.obj.rstrip()))

    def split(self, separator):
        found, at = [], 0
        while True:
            place = self.obj.find(separator, at)
            if place < 0:
                return [*found, self.slice(at)]
            found.append(self.slice(at, place))
            at = place + len(separator)

    def after(self, marker):
        """What a regex group behind a marker gives, up to the end of the line."""
        place = self.obj.find(marker)
        start = place + len(marker) if place >= 0 else 0
        end = self.obj.find("\n", start)
        return self.slice(start, end if end >= 0 else None)

    def escaped(self, **options):
        return Text([(json.dumps(text, **options)[1:-1], prov) for text, prov in self.segments])

    def by(self, call):
        """The text as an output of a call."""
        return Text(
            [(text, Prov(call, (prov.holders if prov else frozenset()) | {call})) for text, prov in self.segments],
            obj=self.obj,
        )

    def held_by(self, call):
        """The text after a call that only handed it on."""
        return Text(
            [(text, prov and Prov(prov.producer, prov.holders | {call})) for text, prov in self.segments], obj=self.obj
        )


class Tree:
    """A structure of texts: list, dict, dataclass, model."""

    def __init__(self, obj, texts):
        self.obj = obj
        self.texts = list(texts)

    def by(self, call):
        return Tree(self.obj, [text.by(call) for text in self.texts])

    def held_by(self, call):
        return Tree(self.obj, [text.held_by(call) for text in self.texts])

    def provs(self):
        return [prov for text in self.texts for prov in text.provs()]


def literal(text):
    return Text([(text, None)])


def cat(*parts):
    pieces = [literal(part) if isinstance(part, str) else part for part in parts]
    if len(pieces) == 1:
        return pieces[0]
    return Text([segment for piece in pieces for segment in piece.segments])


def join(separator, texts):
    parts = []
    for i, text in enumerate(texts):
        parts += [separator, text] if i and separator else [text]
    return cat(*parts) if parts else literal("")


def listed(texts):
    return Tree([text.obj for text in texts], texts)


def mapping(entries):
    """A dict; constants are plain values."""
    return Tree(
        {key: value.obj if isinstance(value, (Text, Tree)) else value for key, value in entries.items()},
        [text for value in entries.values() if isinstance(value, (Text, Tree)) for text in value.texts],
    )


def dumped(entries, indent=None):
    """json.dumps of a dict of texts or lists of texts."""
    parts = ["{"]
    gap = "\n" + " " * indent if indent else ""
    for i, (key, value) in enumerate(entries.items()):
        parts.append((", " if not indent else ",") if i else "")
        parts.append(f"{gap}{json.dumps(key)}: ")
        if isinstance(value, Text):
            parts += ['"', value.escaped(), '"']
        elif isinstance(value, list):
            parts.append("[")
            for j, item in enumerate(value):
                parts += [", " if j else "", '"', item.escaped(), '"']
            parts.append("]")
        else:
            parts.append(json.dumps(value))
    parts.append("\n}" if indent else "}")
    return cat(*[part for part in parts if not isinstance(part, str) or part])
