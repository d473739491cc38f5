"""One watched call: from the request to the single end of its record, whatever the program does with the answer."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

from tracediff import attributes as keys
from tracediff.capture.faults import faults
from tracediff.capture.recorder import Call
from tracediff.capture.stainless.calls import hold, put_out, take
from tracediff.capture.stainless.shape import Fold, Reply, Shape

_NOTHING = Reply(None, dict, is_whole=False)


def _unfelt(step: Callable[..., None]) -> Callable[..., None]:
    """Return an ending step that never raises into the program: its failure is counted and ends the record anyway."""

    @functools.wraps(step)
    def guarded(watch: Watch, *args: Any) -> None:
        try:
            step(watch, *args)
        except Exception as error:
            faults.note(f"ending a client call: {step.__name__}", error)
            watch.give_up()

    return guarded


class Watch:
    """Gathers what a call answers and ends its record once: at the answer, or when its stream ends in any way.

    A stream can be read on two levels, and the program chooses: parsed items, or the bytes below them. Items are
    preferred, because they are what the program itself got: one packet may bring more than it ever read.
    """

    __slots__ = (
        "_call",
        "_chunks",
        "_decode",
        "_first_ns",
        "_fold",
        "_late",
        "_shape",
        "_start_ns",
        "is_advancing",
        "is_page",
        "parsing",
    )

    def __init__(self, call: Call, shape: Shape) -> None:
        self._call = call
        self._shape = shape
        self._start_ns = time.monotonic_ns()
        self._first_ns = 0
        self._fold: Fold | None = None
        self._late: dict[str, list[object]] = {}
        self._chunks: list[bytes] = []
        self._decode: Callable[[bytes], Reply] | None = None
        self.is_advancing = False
        """The client is fetching an item right now: a close in the middle of that is the client's own."""
        self.is_page = False
        """The answer's headers say that it is a page: neither JSON nor events."""
        self.parsing: object = None
        """The answer whose structured output the client is parsing; it may raise on it."""

    def parsed_by(self, parser: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return the client's own parser of structured output, which shows what it parses: it may raise on it.

        A plain function, because some clients deep-copy it with the options of a request.
        """

        def parse(answer: Any) -> Any:
            self.parsing = answer
            return parser(answer)

        return parse

    def drawing(self, argument: str, values: Iterator[object]) -> Iterator[object]:
        """Yield what the client draws from an iterator that the program gave as ``argument``, and take it too."""
        drawn = self._late[argument] = []
        for value in values:
            drawn.append(value)
            yield value

    def drawn(self) -> None:
        """Take the arguments that the client has drawn by now."""
        while self._late:
            take(self._call, *self._late.popitem())

    @_unfelt
    def failed(self, error: BaseException) -> None:
        """End with the exception that left the call or its stream."""
        reply = self._read()
        fault = None
        if isinstance(error, ValueError) and type(error).__name__ == "JSONDecodeError":
            fault = "broken_json"
        elif self._first_ns and not reply.is_whole:
            fault = "truncated"
        self._end(reply, fault, error)

    @_unfelt
    def answered(self, answer: object) -> None:
        """End with a whole answer: a parsed object, or the text of a page that is none."""
        if answer is None or isinstance(answer, (str, bytes)):
            self._end(Reply(answer or None, dict, is_whole=True), "not_json" if answer and answer.strip() else "empty")
        else:
            reply = self._shape.reply(answer)
            self._end(reply, "empty" if reply.output is None and not reply.is_whole else None)

    def give_up(self) -> None:
        """End without an answer: a step of ours failed."""
        try:
            self._call.end(attributes={keys.UNFINISHED: True})
        except Exception as error:
            faults.note("giving up a client call", error)

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

    @_unfelt
    def exhausted(self) -> None:
        """End: the stream has no more."""
        self._finish("truncated")

    @_unfelt
    def abandoned(self) -> None:
        """End: the program closed or dropped the stream."""
        if not self.is_advancing:
            self._finish("abandoned")

    def _finish(self, fault: str) -> None:
        """End with what was read; ``fault`` says why it may not be all."""
        if self._call.is_over:
            return
        reply = self._read()
        if reply.is_whole:
            self._end(reply, None)
        elif fault == "abandoned" or reply.output is not None:
            self._end(reply, fault)
        else:
            self._end(reply, "not_json" if self.is_page else "empty")

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
        if self._call.is_over:
            return
        call = self._call
        attributes: dict[str, Any] = {}
        call.late = (*call.late, reply.attributes)
        if fault is not None:
            attributes[keys.FAULT] = fault
        if fault == "abandoned":
            attributes[keys.UNFINISHED] = True
        if self._first_ns:
            attributes[keys.RESPONSE_TIME_TO_FIRST_CHUNK] = (self._first_ns - self._start_ns) / 1e9
        for path, held in reply.held:
            hold(call, path, held)
        call.end(put_out(call, reply.output), error=error, attributes=attributes)
