"""Bodies that the program reads by itself: from the bytes on the wire to a reply."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from tracediff_openai.shapes import Reply, Shape


def decoder_of(response: Any, shape: Shape, *, is_event_stream: bool) -> Callable[[bytes], Reply]:
    """Return what makes a reply of the body's bytes. The response's class undoes its own compression."""
    response_class, headers, status = type(response), list(response.headers.raw), response.status_code

    def decode(data: bytes) -> Reply:
        body = response_class(status, headers=headers, content=data).content
        return _folded(body, shape) if is_event_stream else _whole(body, shape)

    return decode


def _whole(body: bytes, shape: Shape) -> Reply:
    """Read a JSON body; one that is none is no reply."""
    try:
        answer = json.loads(body)
    except ValueError:
        return Reply(None, {}, is_whole=False)
    return shape.reply(answer)


def _folded(body: bytes, shape: Shape) -> Reply:
    """Read the events of a stream, up to where it was cut."""
    fold = shape.fold()
    for event in _events(body):
        fold.add(event)
    return fold.reply()


def _events(body: bytes) -> Iterator[Any]:
    """Yield the JSON of each whole server-sent event."""
    for block in body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        data = b"\n".join(line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:"))
        if data and not data.startswith(b"[DONE]"):
            try:
                yield json.loads(data)
            except ValueError:  # the cut went through this one
                return
