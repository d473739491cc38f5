"""Bodies that the program reads by itself: from the bytes on the wire to a reply."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from tracediff.capture.stainless.shape import Reply, Shape

_AMAZON = "application/vnd.amazon.eventstream"


def decoder_of(response: Any, shape: Shape, *, is_event_stream: bool) -> Callable[[bytes], Reply]:
    """Return what makes a reply of the body's bytes. The response's class undoes its own compression."""
    response_class, headers, status = type(response), list(response.headers.raw), response.status_code
    events = _amazon_events if response.headers.get("content-type") == _AMAZON else _events

    def decode(data: bytes) -> Reply:
        body = response_class(status, headers=headers, content=data).content
        if not is_event_stream:
            return _whole(body, shape)
        fold = shape.fold()
        for event in events(body):
            fold.add(event)
        return fold.reply()

    return decode


def _whole(body: bytes, shape: Shape) -> Reply:
    """Read a JSON body; one that is none is no reply."""
    try:
        answer = json.loads(body)
    except ValueError:
        return Reply(None, dict, is_whole=False)
    return shape.reply(answer)


def _events(body: bytes) -> Iterator[Any]:
    """Yield the JSON of each whole server-sent event."""
    for block in body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        data = b"\n".join(line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:"))
        if data and not data.startswith(b"[DONE]"):
            try:
                yield json.loads(data)
            except ValueError:  # the cut went through this one
                return


def _amazon_events(body: bytes) -> Iterator[Any]:
    """Yield the JSON of each whole message of Amazon's event stream.

    A message is its length, the length of its headers and a checksum, four bytes each, the headers, the payload and a
    checksum; the payload of a chunk is ``{"bytes": base64}``.
    """
    at = 0
    while len(body) - at >= 16:
        length, headers = (int.from_bytes(body[at + skip : at + skip + 4], "big") for skip in (0, 4))
        payload = body[at + 12 + headers : at + length - 4]
        at += length
        if length < 16 or at > len(body):
            return
        try:
            yield json.loads(base64.b64decode(json.loads(payload)["bytes"]))
        except (ValueError, KeyError, TypeError):  # an exception's message
            continue
