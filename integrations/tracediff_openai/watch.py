"""One watched call: from the request to the single end of its record, whatever the program does with the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tracediff import attributes as keys
from tracediff.capture.faults import faults
from tracediff_openai.shapes import Fold, Reply, Shape

_NOTHING = Reply(None, {}, is_whole=False)


class Call(Protocol):
    """What is used of the recorder's call."""

    def end(
        self, output: object = None, *, error: BaseException | None = None, attributes: Mapping[str, Any] | None = None
    ) -> None:
        """End the record; later calls do nothing."""
        ...


class Watch:
    """Gathers what a call answers and ends its record once: at the answer, or when its stream ends in any way.

    A stream can be read on two levels, and the program chooses: parsed items, or the bytes below them. Items are
    preferred, because they are what the program itself got: one packet may bring more than it ever read.
    """

    __slots__ = ("_call", "_chunks", "_decode", "_first_ns", "_fold", "_shape", "_start_ns", "is_advancing", "parsing")

    def __init__(self, call: Call, shape: Shape) -> None:
        self._call = call
        self._shape = shape
        self._start_ns = time.monotonic_ns()
        self._first_ns = 0
        self._fold: Fold | None = None
        self._chunks: list[bytes] = []
        self._decode: Callable[[bytes], Reply] | None = None
        self.is_advancing = False
        """The client is fetching an item right now: a close in the middle of that is the client's own."""
        self.parsing: object = None
        """The answer whose structured output the client is parsing; it may raise on it."""

    def failed(self, error: BaseException) -> None:
        """End with the exception that left the call or its stream."""
        is_broken = isinstance(error, ValueError) and type(error).__name__ == "JSONDecodeError"
        self._end(self._read(), "broken_json" if is_broken else None, error)

    def answered(self, answer: object) -> None:
        """End with a whole answer: a parsed object, or the text of a page that is none."""
        if answer is None or isinstance(answer, str | bytes):
            self._end(Reply(answer or None, {}, is_whole=True), "not_json" if answer and answer.strip() else "empty")
        else:
            reply = self._shape.reply(answer)
            self._end(reply, "empty" if reply.output is None and not reply.is_whole else None)

    def give_up(self) -> None:
        """End without an answer: a step of ours failed."""
        self._call.end(attributes={keys.UNFINISHED: True})

    def keep_bytes(self, decode: Callable[[bytes], Reply]) -> None:
        """Keep the body's bytes as they are read; ``decode`` makes the reply of them at the end."""
        self._decode = decode

    def item(self, item: object) -> None:
        """Take in a parsed item that the program is about to get."""
        try:
            if self._fold is None:
                self._fold = self._shape.fold()
                self._first_ns = self._first_ns or time.monotonic_ns()
            self._fold.add(item)
        except Exception as error:  # the program must get its item
            faults.note("reading a stream's item", error)

    def data(self, data: bytes) -> None:
        """Take in bytes of the body as they came over the wire."""
        self._first_ns = self._first_ns or time.monotonic_ns()
        if self._decode is not None:
            self._chunks.append(data)

    def exhausted(self) -> None:
        """End: the stream has no more."""
        self._finish("truncated")

    def abandoned(self) -> None:
        """End: the program closed or dropped the stream."""
        if not self.is_advancing:
            self._finish("abandoned")

    def _finish(self, fault: str) -> None:
        """End with what was read; ``fault`` says why it may not be all."""
        reply = self._read()
        if reply.is_whole:
            self._end(reply, None)
        else:
            self._end(reply, fault if reply.output is not None or fault == "abandoned" else "empty")

    def _read(self) -> Reply:
        """Return what was read so far."""
        try:
            if self.parsing is not None:
                return self._shape.reply(self.parsing)
            if self._fold is not None:
                return self._fold.reply()
            if self._decode is not None and self._chunks:
                return self._decode(b"".join(self._chunks))
        except Exception as error:  # a body in an encoding of its own
            faults.note("reading a stream's end", error)
        return _NOTHING

    def _end(self, reply: Reply, fault: str | None, error: BaseException | None = None) -> None:
        attributes = dict(reply.attributes)
        if fault is not None:
            attributes[keys.FAULT] = fault
        if fault == "abandoned":
            attributes[keys.UNFINISHED] = True
        if self._first_ns:
            attributes[keys.RESPONSE_TIME_TO_FIRST_CHUNK] = (self._first_ns - self._start_ns) / 1e9
        self._call.end(reply.output, error=error, attributes=attributes)
