"""Sites: decorated callables, one wrapper per flavour of function. Each is a plain closure, so it pickles by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any

from opentelemetry import trace as api

from tracediff.capture import spans
from tracediff.capture.faults import faults
from tracediff.capture.recorder import Call, begin, is_idle, open_recordings


class Binder:
    """Gives a call's arguments their names, in signature order, without ``self`` and with the defaults."""

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
        self.owner = self.names[0] if self.names and self.names[0] in ("self", "cls") else None
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
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, site)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, site)
    if inspect.isgeneratorfunction(function):
        return _generator(function, site)
    return _plain(function, site)


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
        call.end(output)
        return output

    return traced_call


def _coroutine(function: Callable[..., Any], site: Site) -> Callable[..., Any]:
    @functools.wraps(function)
    async def traced_call(*args: Any, **kwargs: Any) -> Any:
        if is_idle() or (call := site.begin(args, kwargs)) is None:
            return await function(*args, **kwargs)
        token = call.attach()
        try:
            output = await function(*args, **kwargs)
        except BaseException as error:
            call.end(error=error)
            raise
        finally:
            call.detach(token)
        call.end(output)
        return output

    return traced_call


def _generator(function: Callable[..., Any], site: Site) -> Callable[..., Any]:
    @functools.wraps(function)
    def traced_call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        if is_idle() or (call := site.begin(args, kwargs)) is None:
            return (yield from function(*args, **kwargs))
        return (yield from _stepped(call, function, args, kwargs))

    return traced_call


def _stepped(
    call: Call, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Generator[Any, Any, Any]:
    """Run a generator inside ``call``; between its steps the consumer is not inside."""
    try:
        generator = function(*args, **kwargs)
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


def _async_generator(function: Callable[..., Any], site: Site) -> Callable[..., Any]:
    @functools.wraps(function)
    async def traced_call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
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

    return traced_call


async def _inside(call: Call | None, step: Callable[[], Any]) -> Any:
    """Await one step of an async generator inside ``call``."""
    if call is None:
        return await step()
    token = call.attach()
    try:
        return await step()
    finally:
        call.detach(token)
