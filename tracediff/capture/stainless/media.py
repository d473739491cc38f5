"""Images, audio and files in requests: a record keeps a placeholder for their content, the request is untouched."""

from __future__ import annotations

from typing import Any

from tracediff.capture.values import Placeholder

_CONTENT = {"image", "document", "image_url", "input_image", "input_audio", "file", "input_file", "computer_screenshot"}
"""Types of the parts of a message that may hold data."""
_DATA = ("data", "file_data")
_MIN_CHARS = 64
"""Shorter than any image."""


def without_media(value: Any) -> Any:
    """Return ``value``, or where it holds data of media a copy of the containers around it with placeholders."""
    if type(value) is not list:
        return value
    changed: dict[int, Any] = {}
    for position, item in enumerate(value):
        kept = _item(item)
        if kept is not item:
            changed[position] = kept
    return [changed.get(position, item) for position, item in enumerate(value)] if changed else value


def _item(item: Any) -> Any:
    """Return a message, an output of a tool or a part of one, without data."""
    if type(item) is not dict:
        return item
    if item.get("type") in _CONTENT:
        return _part(item, str(item["type"]))
    for name in ("content", "output"):
        inner = item.get(name)
        if (kept := without_media(inner)) is not inner:
            return {**item, name: kept}
    return item


def _part(part: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return a part, or a mapping inside one, with placeholders for its data."""
    changed: dict[str, Any] = {}
    media_type = part.get("media_type") or part.get("format")
    for name, value in part.items():
        if type(value) is dict:
            kept: Any = _part(value, kind)
        elif type(value) is list:
            kept = without_media(value)
        elif name in _DATA and type(value) is not str:
            kept = Placeholder(str(media_type or kind), "media")
        elif type(value) is str and len(value) > _MIN_CHARS and (name in _DATA or value.startswith("data:")):
            if part.get("type") == "text":
                continue  # a document that is given as text is text
            named = value[5 : value.find(",")].partition(";")[0] if value.startswith("data:") else media_type
            kept = Placeholder(str(named or kind), "media")
        else:
            continue
        if kept is not value:
            changed[name] = kept
    return {**part, **changed} if changed else part
