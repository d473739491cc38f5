"""The patch of a client library's ``request`` methods. The library is never imported from here."""

from __future__ import annotations

import functools
import importlib.util
import inspect
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import wrapt

from tracediff import attributes as keys
from tracediff.capture import live, outgoing, recorder, spans
from tracediff.capture.callsite import calling_site
from tracediff.capture.context import SCOPE_KEY, current_context, detach
from tracediff.capture.faults import faults
from tracediff.capture.stainless.asking import Clients, about, begun, body_of, inputs_of
from tracediff.capture.stainless.calls import attach_client, attach_nothing
from tracediff.capture.stainless.owners import called_with, once, with_subclasses
from tracediff.capture.stainless.shape import Shape
from tracediff.capture.stainless.streams import tee_body, tee_items
from tracediff.capture.stainless.suppression import is_by_tracing_tool, is_recorded
from tracediff.capture.stainless.watch import Watch
from tracediff.capture.stainless.wire import decoder_of
from tracediff.errors import MissingIntegration


@dataclass(frozen=True, slots=True)
class Library:
    """What an integration states about its client library."""

    name: str
    """The package, the extra that installs it, and the name of a call that no code of the user made."""
    clients: tuple[str, ...]
    """Names of client classes, one sync and one async: where they got ``request`` from is patched, for all classes."""
    shape_of: Callable[[str, str], Shape | None]
    """Return the shape of a request (method, path); None for one that is not recorded."""
    provider_of: Callable[[type[Any]], str]
    """Return ``gen_ai.provider.name`` for a client class."""


def install(library: Library) -> Callable[[], None]:
    """Patch a client library, now if it is imported, else when it is; return what undoes it.

    Raises:
        MissingIntegration: it is not installed.
    """
    name = library.name
    if importlib.util.find_spec(name) is None:
        raise MissingIntegration(
            f"instrument({name!r}) needs the package {name}; install it: pip install 'tracediff[{name}]'"
        )
    patch = _Patch(library)
    wrapt.register_post_import_hook(patch.apply, name)
    return patch.undo


class _Patch:
    """One installation: the classes it patched, and whether it is still wanted."""

    def __init__(self, library: Library) -> None:
        self.is_on = True
        self.library = library
        self.clients = Clients(library.provider_of)
        self._patched: list[tuple[type[Any], Any, Any]] = []
        """(class, what was there, what stands there now)."""

    def apply(self, module: Any) -> None:
        """Patch the imported library, unless uninstalled before its import."""
        if not self.is_on:
            return
        for name in self.library.clients:
            base = [base for base in getattr(module, name).__mro__ if "request" in vars(base)][-1]
            owners = [owner for owner in with_subclasses(base) if "request" in vars(owner)]
            for owner in owners:
                self._patch(owner, owners)

    def _patch(self, owner: type[Any], owners: list[type[Any]]) -> None:
        original = vars(owner)["request"]
        is_async = inspect.iscoroutinefunction(original)
        wrap, watch = _ASYNC if is_async else _SYNC
        called = called_with(original)
        made = watch(self, wrap(self, called))
        if len(owners) > 1:
            made = once(owner, frozenset(owners), made, called, is_async=is_async)
        replaced: Any = functools.wraps(original)(made)
        replaced.__signature__ = inspect.signature(original)  # for those who do not follow __wrapped__
        replaced.__kwdefaults__ = getattr(original, "__kwdefaults__", None)
        self._patched.append((owner, original, replaced))
        owner.request = replaced

    def undo(self) -> None:
        """Restore the classes. A patch that another tool put on top of ours stays."""
        self.is_on = False
        for owner, original, replaced in reversed(self._patched):
            if vars(owner).get("request") is replaced:
                owner.request = original
            # else ours lies below another's now, and goes straight through
        self._patched.clear()


def _sync_request(patch: _Patch, original: Callable[..., Any]) -> Callable[..., Any]:
    def request(client: Any, *args: Any, **kwargs: Any) -> Any:
        call = (_begin(patch, client, args, kwargs) or _pass_by(patch)) if patch.is_on else None
        if call is None:
            return original(client, *args, **kwargs)
        try:
            result = original(client, *args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        call.returned(result)
        return result

    return request


def _async_request(patch: _Patch, original: Callable[..., Any]) -> Callable[..., Any]:
    async def request(client: Any, *args: Any, **kwargs: Any) -> Any:
        call = (_begin(patch, client, args, kwargs) or _pass_by(patch)) if patch.is_on else None
        if call is None:
            return await original(client, *args, **kwargs)
        try:
            result = await original(client, *args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        call.returned(result)
        return result

    return request


def _sync_watched(patch: _Patch, recorded: Callable[..., Any]) -> Callable[..., Any]:
    """Return the recorded request, with what watchers of requests make of it sent in its place."""

    def request(client: Any, *args: Any, **kwargs: Any) -> Any:
        if not (patch.is_on and outgoing.is_watched()):
            return recorded(client, *args, **kwargs)
        with outgoing.sending(patch.library.shape_of, args, kwargs):
            return recorded(client, *args, **kwargs)

    return request


def _async_watched(patch: _Patch, recorded: Callable[..., Any]) -> Callable[..., Any]:
    """Return the recorded request, with what watchers of requests make of it sent in its place."""

    async def request(client: Any, *args: Any, **kwargs: Any) -> Any:
        if not (patch.is_on and outgoing.is_watched()):
            return await recorded(client, *args, **kwargs)
        with outgoing.sending(patch.library.shape_of, args, kwargs):
            return await recorded(client, *args, **kwargs)

    return request


_SYNC = _sync_request, _sync_watched
_ASYNC = _async_request, _async_watched


def _begin(patch: _Patch, client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Request | None:
    """Return the recorded request, or None when nobody records it or something of ours failed."""
    call = request = None
    library = patch.library
    try:
        if recorder.is_idle():
            return None
        context = current_context()
        scope: Any = context.get(SCOPE_KEY)
        if scope is not None and scope.is_suppressed:
            return None
        is_hidden = spans.is_suppressed(context)
        if is_hidden and not (is_recorded(scope) and is_by_tracing_tool(library.name, context)):
            return None
        options = kwargs["options"] if "options" in kwargs else args[1]
        shape = library.shape_of(options.method, options.url)
        if shape is None:
            return None
        site = calling_site(library.name)
        name = f"{library.name}.{shape.suffix}" if site is None else f"{site}:{shape.suffix}"
        if scope is None or scope.recording is None or not scope.recording.is_open:
            live.note_lost_context(name)
        body = body_of(options)
        inputs = inputs_of(shape, body)
        call = begun(name, shape, inputs, about(patch.clients, client, shape, body))
        if call is None:
            return None
        request = _Request(call, shape, options, is_event_stream=bool(kwargs.get("stream")))
        call.is_measured = not is_hidden
        request.enter(inputs)
    except Exception as error:  # the program's call goes on without a record
        faults.note(f"beginning a call of {library.name}", error)
        if request is not None:
            request.give_up()
        elif call is not None:
            call.end(attributes={keys.UNFINISHED: True})
        return None
    return request


class _PassedBy:
    """A call that is not recorded, while a span that the program does not know is hidden from it."""

    __slots__ = ("_token",)

    def __init__(self, token: Any) -> None:
        self._token = token

    def failed(self, _: BaseException) -> None:
        """Return to the context before the call."""
        detach(self._token)

    def returned(self, _: Any) -> None:
        """Return to the context before the call."""
        detach(self._token)


def _pass_by(patch: _Patch) -> _PassedBy | None:
    """Return what ends a call that is not recorded, None where there is nothing to end."""
    try:
        token = attach_nothing()
    except Exception as error:
        faults.note(f"passing by a call of {patch.library.name}", error)
        return None
    return None if token is None else _PassedBy(token)


class _Request:
    """A call that is recorded, from its request to what it returns. No method of it raises."""

    __slots__ = ("_call", "_is_event_stream", "_options", "_replaced", "_shape", "_token", "_watch")

    def __init__(self, call: recorder.Call, shape: Shape, options: Any, *, is_event_stream: bool) -> None:
        self._call = call
        self._shape = shape
        self._watch = Watch(call, shape)
        self._options = options
        self._replaced: dict[str, Any] = {}
        """Fields of the request's options for the time of the call -> what stood there."""
        self._is_event_stream = is_event_stream
        self._token: Any = None

    def enter(self, inputs: Mapping[str, Any]) -> None:
        """Make this call the parent of what follows, and see what the client draws and parses."""
        options, watch = self._options, self._watch
        drawn = {
            name: value
            for name, value in inputs.items()
            if type(value) is not list and type(value) is not str and isinstance(value, Iterator)
        }
        if drawn:  # the client consumes it, not we
            given = options.json_data
            late = {name: watch.drawing(name, value) for name, value in drawn.items() if given.get(name) is value}
            self._replace("json_data", {**given, **late})
        if callable(options.post_parser):
            self._replace("post_parser", watch.parsed_by(options.post_parser))
        self._token = attach_client(self._call)

    def _replace(self, name: str, value: Any) -> None:
        self._replaced[name] = getattr(self._options, name)
        setattr(self._options, name, value)

    def _leave(self) -> None:
        """Put back what was replaced: the client has made its own copy by now."""
        while self._replaced:
            setattr(self._options, *self._replaced.popitem())
        if self._token is not None:
            token, self._token = self._token, None
            self._call.detach(token)
        self._watch.drawn()

    def failed(self, error: BaseException) -> None:
        """End the record with the exception that left the call."""
        try:
            self._leave()
            self._watch.failed(error)
        except Exception as fault:
            self._missed(fault)

    def returned(self, result: Any) -> None:
        """End the record with the result, or see to it that its end will be seen."""
        try:
            self._leave()
            self._follow(result)
        except Exception as fault:
            self._missed(fault)

    def give_up(self) -> None:
        """End the record of a call that could not be followed."""
        try:
            self._leave()
        except Exception as fault:
            faults.note("leaving a client call", fault)
        self._watch.give_up()

    def _missed(self, fault: Exception) -> None:
        faults.note("ending a client call", fault)
        self.give_up()

    def _follow(self, result: Any) -> None:
        watch, kind = self._watch, _kind_of(result.__class__)  # of what another tool wrapped
        if kind == "answer":
            watch.answered(result)
        elif kind == "stream":
            watch.is_page = _is_page(result.response)
            tee_items(result, watch)
            tee_body(result.response, watch)
        elif kind == "http":  # a ``cast_to`` of the program's own
            watch.answered(_plain(result))
        elif (response := result.http_response).is_closed:  # a raw response: what it parses is handed to the program
            watch.answered(_parsed(result, response))
        else:  # the program reads items, lines or bytes
            watch.is_page = _is_page(response)
            watch.keep_bytes(decoder_of(response, self._shape, is_event_stream=self._is_event_stream))
            tee_body(response, watch)
            if self._is_event_stream and not inspect.iscoroutinefunction(result.parse):
                tee_items(result.parse(), watch)  # the stream that the program gets if it asks for it; nothing is read


@functools.lru_cache(maxsize=512)
def _kind_of(result_class: Any) -> str:
    """Return what a call returned: a ``stream``, a ``raw`` response, a bare ``http`` one, or the parsed ``answer``."""
    if hasattr(result_class, "__stream__"):
        return "stream"
    if hasattr(result_class, "http_request"):
        return "raw"
    return "http" if hasattr(result_class, "raise_for_status") else "answer"


def _is_page(response: Any) -> bool:
    """Tell whether an answer's headers say that it is neither JSON nor events."""
    return str(response.headers.get("content-type", "")).startswith("text/html")


def _parsed(raw: Any, response: Any) -> Any:
    """Return what the program will get from ``raw.parse()``: the very object, which the client keeps.

    A parser that raises will raise for the program too; the record then reads the plain JSON, if there is any. A page
    is not parsed: that would fix its encoding before the program has a say.
    """
    if "json" in response.headers.get("content-type", ""):
        try:
            parsed = raw.parse()
            return _finished(parsed) if inspect.iscoroutine(parsed) else parsed
        except Exception:  # noqa: S110 - the program meets it when it parses
            pass
    return _plain(response)


def _finished(parsing: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine that has nothing to wait for: the body is there.

    Raises:
        RuntimeError: it waits for something after all.
    """
    try:
        parsing.send(None)
    except StopIteration as done:
        return done.value
    parsing.close()
    raise RuntimeError("the client's parser waits")


def _plain(response: Any) -> Any:
    """Return the JSON of an HTTP response that was read, else its bytes."""
    try:
        return response.json()
    except ValueError:
        return response.content
