"""Tees: the program reads its own stream, of its own type, and a watch sees each item and the end.

A client stream keeps its iterator in ``_iterator``; that is replaced, the stream is not. The HTTP body below it gets a
subclass of its own class in place, so that a close and the bytes of raw reading are seen too. A tee never reads ahead.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

from tracediff.capture.faults import faults
from tracediff.capture.stainless.watch import Watch


class _Tee:
    """What both tees share: everything but the next item is the inner iterator's own affair."""

    __slots__ = ("_inner", "_watch")

    def __init__(self, inner: Any, watch: Watch) -> None:
        self._inner = inner
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        """Return the inner iterator's attribute: close, aclose, send and the like."""
        if name in _Tee.__slots__:
            raise AttributeError(name)  # half made
        return getattr(self._inner, name)

    def __del__(self) -> None:
        """End the record of a stream that was dropped."""
        try:
            self._watch.abandoned()
        except Exception as error:
            faults.note("dropping a stream", error)


class SyncTee(_Tee):
    """An iterator over a client stream's items."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        watch = self._watch
        watch.is_advancing = True
        try:
            item = next(self._inner)
        except StopIteration:
            watch.exhausted()
            raise
        except BaseException as error:
            watch.failed(error)
            raise
        finally:
            watch.is_advancing = False
        watch.item(item)
        return item


class AsyncTee(_Tee):
    """An async iterator over a client stream's items."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        watch = self._watch
        watch.is_advancing = True
        try:
            item = await self._inner.__anext__()
        except StopAsyncIteration:
            watch.exhausted()
            raise
        except BaseException as error:
            watch.failed(error)
            raise
        finally:
            watch.is_advancing = False
        watch.item(item)
        return item


def tee_items(stream: Any, watch: Watch) -> None:
    """Make a client stream show its items to ``watch``."""
    inner = stream._iterator
    stream._iterator = AsyncTee(inner, watch) if hasattr(inner, "__anext__") else SyncTee(inner, watch)


def tee_body(response: Any, watch: Watch) -> None:
    """Make the unread body of an HTTP response show its bytes and its close to ``watch``."""
    body: Any = response.stream
    body_class: Any = type(body)
    body.__class__ = _teed(body_class)
    body._tracediff_watch = watch


@functools.lru_cache(maxsize=32)
def _teed(body_class: Any) -> type[Any]:
    """Return a subclass of an HTTP byte stream's class that shows what passes to its watch."""

    class Teed(body_class):  # type: ignore[misc]
        _tracediff_watch: Watch

        def __iter__(self) -> Iterator[bytes]:
            for data in super().__iter__():
                self._tracediff_watch.data(data)
                yield data
            self._end(is_read=True)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for data in super().__aiter__():
                self._tracediff_watch.data(data)
                yield data
            self._end(is_read=True)

        def close(self) -> None:
            try:
                super().close()
            finally:
                self._end(is_read=False)

        async def aclose(self) -> None:
            try:
                await super().aclose()
            finally:
                self._end(is_read=False)

        def __del__(self) -> None:
            self._end(is_read=False)
            if (own := getattr(super(), "__del__", None)) is not None:  # anthropic's ends a span of its own there
                own()

        def _end(self, *, is_read: bool) -> None:
            watch = self._tracediff_watch
            if watch.is_advancing:
                return  # the items' tee ends it
            try:
                watch.exhausted() if is_read else watch.abandoned()
            except Exception as error:  # the program's own close goes on
                faults.note("closing a stream", error)
                watch.give_up()

    Teed.__name__, Teed.__qualname__, Teed.__module__ = (
        body_class.__name__,
        body_class.__qualname__,
        body_class.__module__,
    )
    return Teed
