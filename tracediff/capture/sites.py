"""Sites: decorated callables, one wrapper per flavour of function. Each is a plain closure, so it pickles by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from types import CoroutineType, FunctionType
from typing import Any

from opentelemetry import trace as api

from tracediff.capture import spans
from tracediff.capture.faults import faults
from tracediff.capture.live import open_recordings
from tracediff.capture.names import is_in_class
from tracediff.capture.recorder import Call, begin, is_idle


class Binder:
    """Gives a call's arguments their names, in signature order, with the defaults and without a method's ``self``."""

    __slots__ = ("defaults", "is_simple", "keywords", "names", "order", "owner", "variable", "variable_keywords")

    def __init__(self, function: Any) -> None:
        """Read the signature once."""
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):  # some builtins have none
            parameters = list(inspect.signature(lambda *args, **kwargs: None).parameters.values())  # noqa: ARG005
        kinds = inspect.Parameter
        positional = (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
        self.names = tuple(item.name for item in parameters if item.kind in positional)
        self.keywords = frozenset(
            item.name for item in parameters if item.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
        )
        self.variable = next((item.name for item in parameters if item.kind is kinds.VAR_POSITIONAL), None)
        self.variable_keywords = next((item.name for item in parameters if item.kind is kinds.VAR_KEYWORD), None)
        self.defaults = {item.name: item.default for item in parameters if item.default is not kinds.empty}
        is_method = bool(self.names) and self.names[0] in ("self", "cls") and is_in_class(function)
        self.owner = self.names[0] if is_method else None
        self.order = tuple(item.name for item in parameters if item.name != self.owner)
        self.is_simple = len(parameters) == len(self.names)

    def __call__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return name -> argument; a call that does not fit the signature is named as far as it goes."""
        names = self.names
        inputs = dict(zip(names, args, strict=False))
        if self.is_simple and not kwargs and len(args) == len(names):
            if self.owner is not None:
                del inputs[self.owner]
            return inputs
        if len(args) > len(names):
            inputs[self.variable or "*args"] = args[len(names) :]
        more: dict[str, Any] = {}
        for name, value in kwargs.items():
            (inputs if name in self.keywords else more)[name] = value
        if more:
            inputs[self.variable_keywords or "**kwargs"] = more
        inputs = {**self.defaults, **inputs}
        inputs.pop(self.owner or "", None)
        named = {name: inputs[name] for name in self.order if name in inputs}
        return named if len(named) == len(inputs) else {**named, **inputs}


class Site:
    """What a decorator knows of a callable."""

    __slots__ = ("bind", "description", "kind", "name")

    def __init__(self, name: str, kind: str, description: str, function: Any) -> None:
        """Name a site; ``function`` gives the signature."""
        self.name = name
        self.kind = kind
        self.description = description
        self.bind = Binder(function)

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """Return the call that has begun, None when nobody records."""
        try:
            inputs = self.bind(args, kwargs)
        except Exception as fault:  # never felt by the program
            faults.note("bind", fault)
            return None
        return begin(self.name, self.kind, inputs, description=self.description)


def traced(function: Any, site: Site) -> Callable[..., Any]:
    """Return ``function`` with its calls recorded: same signature, flavour, results and exceptions."""
    for made in (function, inspect.getattr_static(type(function), "__call__", None)):  # an object's may be async
        if inspect.isasyncgenfunction(made):
            return _flavoured(function, site, _streamed_async, inspect.CO_ASYNC_GENERATOR)
        if inspect.iscoroutinefunction(made):
            return _flavoured(function, site, _awaitable, inspect.CO_COROUTINE)
        if inspect.isgeneratorfunction(made):
            return _flavoured(function, site, _streamed, inspect.CO_GENERATOR)
    return _plain(function, site)


def untraced(function: Any) -> Any:
    """Return what ``traced`` was given to make ``function``; anything else as it is."""
    while isinstance(function, FunctionType) and function.__code__.co_filename == traced.__code__.co_filename:
        function = inspect.getattr_static(function, "__wrapped__")
    return function


def _plain(function: Callable[..., Any], site: Site) -> Callable[..., Any]:
    exporting = spans._export
    recordings = open_recordings

    @functools.wraps(function)
    def traced_call(*args: Any, **kwargs: Any) -> Any:
        if not recordings and api._TRACER_PROVIDER is None and exporting.chosen is None:  # is_idle, without its call
            return function(*args, **kwargs) if kwargs else function(*args)
        if (call := site.begin(args, kwargs)) is None:
            return function(*args, **kwargs)
        token = call.attach()
        try:
            output = function(*args, **kwargs)
        except BaseException as error:
            call.end(error=error)
            raise
        finally:
            call.detach(token)
        if type(output) is CoroutineType:  # a plain function that hands out a coroutine: it ends when that ends
            return _named(_inside_to_end(call, _Unstarted(output)), output)
        call.end(output)
        return output

    return traced_call


def _flavoured(function: Any, site: Site, run: Callable[..., Any], flag: int) -> Callable[..., Any]:
    """Return the wrapper of a function whose calls run later: ``run`` runs them, ``flag`` is their flavour's.

    The program's own object is made at the call, so that a wrong argument raises there as it does undecorated. That
    needs a plain function, and ``inspect`` reads flavours from a flag of its code. Since Python 3.11 the flag alone
    makes nothing of a function (its first instruction does).
    """

    def traced_call(*args: Any, **kwargs: Any) -> Any:
        made = function(*args, **kwargs)
        return _named(run(site, made, args, kwargs), made)

    code = traced_call.__code__.replace(co_flags=traced_call.__code__.co_flags | flag)
    wrapper = FunctionType(code, traced_call.__globals__, closure=traced_call.__closure__)
    return functools.update_wrapper(wrapper, function)


def _named(ours: Any, made: Any) -> Any:
    """Return our coroutine or generator under the name of the program's, for warnings and tracebacks."""
    ours.__name__ = getattr(made, "__name__", ours.__name__)
    ours.__qualname__ = getattr(made, "__qualname__", ours.__qualname__)
    return ours


class _Unstarted:
    """A coroutine of the program until ours around it starts. One that never does (cancelled, closed) takes it along.

    Otherwise the program would be warned of a coroutine that was never awaited, which it never saw.
    """

    __slots__ = ("made",)

    def __init__(self, made: Coroutine[Any, Any, Any]) -> None:
        self.made: Coroutine[Any, Any, Any] | None = made

    def __del__(self) -> None:
        if self.made is not None:
            self.made.close()

    def start(self) -> Coroutine[Any, Any, Any]:
        made, self.made = self.made, None
        assert made is not None
        return made


def _awaitable(
    site: Site, made: Coroutine[Any, Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Coroutine[Any, Any, Any]:
    return _awaited(site, _Unstarted(made), args, kwargs)


async def _awaited(site: Site, unstarted: _Unstarted, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a coroutine function's call."""
    call = None if is_idle() else site.begin(args, kwargs)
    return await unstarted.start() if call is None else await _inside_to_end(call, unstarted)


async def _inside_to_end(call: Call, unstarted: _Unstarted) -> Any:
    """Await a coroutine inside ``call`` and end it."""
    token = call.attach()
    try:
        output = await unstarted.start()
    except BaseException as error:
        call.end(error=error)
        raise
    finally:
        call.detach(token)
    call.end(output)
    return output


def _streamed(
    site: Site, generator: Generator[Any, Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Generator[Any, Any, Any]:
    """Run a generator function's call; between its steps the consumer is not inside."""
    if is_idle() or (call := site.begin(args, kwargs)) is None:
        return (yield from generator)
    try:
        step: Callable[[], Any] = functools.partial(next, generator)
        while True:
            with call.active():
                try:
                    item = step()
                except StopIteration as stop:
                    call.finish_stream(stop.value)
                    return stop.value
            call.emit(item)
            try:
                sent = yield item
            except GeneratorExit:
                with call.active():
                    generator.close()
                call.finish_stream(is_abandoned=True)
                raise
            except BaseException as error:
                step = functools.partial(generator.throw, error)
            else:
                step = functools.partial(next, generator) if sent is None else functools.partial(generator.send, sent)
    except BaseException as error:
        call.end(call.emitted, error=error)
        raise


async def _streamed_async(
    site: Site, generator: AsyncGenerator[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> AsyncGenerator[Any, Any]:
    """Run an async generator function's call."""
    call = None if is_idle() else site.begin(args, kwargs)
    step: Callable[[], Any] = generator.__anext__
    try:
        while True:
            try:
                item = await _inside(call, step)
            except StopAsyncIteration:
                if call is not None:
                    call.finish_stream()
                return
            if call is not None:
                call.emit(item)
            try:
                sent = yield item
            except GeneratorExit:
                await _inside(call, generator.aclose)
                if call is not None:
                    call.finish_stream(is_abandoned=True)
                raise
            except BaseException as error:
                step = functools.partial(generator.athrow, error)
            else:
                step = generator.__anext__ if sent is None else functools.partial(generator.asend, sent)
    except BaseException as error:
        if call is not None:
            call.end(call.emitted, error=error)
        raise


async def _inside(call: Call | None, step: Callable[[], Any]) -> Any:
    """Await one step of an async generator inside ``call``."""
    if call is None:
        return await step()
    token = call.attach()
    try:
        return await step()
    finally:
        call.detach(token)
