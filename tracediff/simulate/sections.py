"""Requests in tags, read: what stands in which section, as a model would see it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass

_ATTRIBUTE = re.compile(r'([a-z_]+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Section:
    """One tag of a request with its attributes and its text."""

    tag: str
    attributes: Mapping[str, str]
    text: str

    @property
    def id(self) -> str:
        """The id under which feedback is asked for; empty if there is none."""
        return self.attributes.get("id", "")


def sections(request: str, *tags: str) -> tuple[Section, ...]:
    """Return the sections with one of ``tags``, in order; a tag inside one of them is part of its text."""
    form = re.compile(rf"<(?P<tag>{'|'.join(tags)})(?P<attributes>(?:\s[^<>]*)?)>(?P<text>.*?)</(?P=tag)>", re.DOTALL)
    return tuple(
        Section(
            match["tag"],
            {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(match["attributes"])},
            match["text"].replace("&lt;", "<").strip("\n"),
        )
        for match in form.finditer(request)
    )


def task_kind(request: str) -> str:
    """Return the kind of the request's task: loss, llm-node, function-node, proposal, or nothing."""
    match = re.search(r'<task\b[^<>]*\bkind="([a-z-]+)"', request)
    return match[1] if match else ""
