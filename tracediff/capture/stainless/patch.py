"""The patch of a client library's ``request`` methods. The library is never imported from here."""

from __future__ import annotations

import functools
import importlib.util
import inspect
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import wrapt
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from tracediff import attributes as keys
from tracediff.capture import recorder
from tracediff.capture.callsite import calling_site
from tracediff.capture.context import current_scope, detach
from tracediff.capture.faults import faults
from tracediff.capture.stainless.calls import attach_client, attach_nothing, take, taken_plainly
from tracediff.capture.stainless.media import without_media
from tracediff.capture.stainless.shape import Shape, is_given, settings_of
from tracediff.capture.stainless.streams import tee_body, tee_items
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
        self._known: WeakKeyDictionary[Any, tuple[Any, dict[str, Any]]] = WeakKeyDictionary()
        """Client -> its base URL and the attributes that follow from both, which are slow to find."""
        self._patched: list[tuple[type[Any], Any, Any]] = []
        """(class, what was there, what stands there now)."""

    def apply(self, module: Any) -> None:
        """Patch the imported library, unless uninstalled before its import."""
        if not self.is_on:
            return
        for name in self.library.clients:
            owner = next(base for base in getattr(module, name).__mro__ if "request" in vars(base))
            original = vars(owner)["request"]
            wrap = _async_request if inspect.iscoroutinefunction(original) else _sync_request
            replaced: Any = functools.wraps(original)(wrap(self, original))
            replaced.__signature__ = inspect.signature(original)  # for those who do not follow __wrapped__
            self._patched.append((owner, original, replaced))
            owner.request = replaced

    def described(self, client: Any) -> Mapping[str, Any]:
        """Return the attributes of a client: provider, host and port."""
        url = client.base_url
        known = self._known.get(client)
        if known is None or known[0] is not url:
            known = self._known[client] = url, {
                keys.PROVIDER_NAME: self.library.provider_of(type(client)),
                keys.SERVER_ADDRESS: url.host,
                keys.SERVER_PORT: url.port or 443,
            }
        return known[1]

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


def _begin(patch: _Patch, client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Request | None:
    """Return the recorded request, or None when nobody records it or something of ours failed."""
    call = request = None
    library = patch.library
    try:
        if recorder.is_idle():
            return None
        scope = current_scope()
        if (scope is not None and scope.is_suppressed) or not is_instrumentation_enabled():
            return None
        options = kwargs["options"] if "options" in kwargs else args[1]
        shape = library.shape_of(options.method, options.url)
        if shape is None:
            return None
        site = calling_site()
        name = f"{library.name}.{shape.suffix}" if site is None else f"{site}:{shape.suffix}"
        recorder.note_lost_context(name)
        body = _body(options)
        described = patch.described(client)
        attributes = {keys.OPERATION_NAME: shape.operation, **described, **settings_of(shape, body)}
        inputs = {name: body[name] for name in shape.inputs if name in body and is_given(body[name])}
        call = _begun(name, shape, inputs, attributes)
        if call is None:
            return None
        request = _Request(call, shape, options, is_event_stream=bool(kwargs.get("stream")))
        request.enter(inputs)
    except Exception as error:  # the program's call goes on without a record
        faults.note(f"beginning a call of {library.name}", error)
        if request is not None:
            request.give_up()
        elif call is not None:
            call.end(attributes={keys.UNFINISHED: True})
        return None
    return request


def _begun(
    name: str, shape: Shape, inputs: Mapping[str, Any], attributes: Mapping[str, Any]
) -> recorder.Call | None:
    """Return the call that has begun, with its inputs taken."""
    plain = {argument for argument, value in inputs.items() if type(value) is list}
    walked = {argument: value for argument, value in inputs.items() if argument not in plain}
    call = recorder.begin(name, shape.kind, walked, attributes=attributes)
    if call is None or not plain:
        return call
    kept, call.inputs = call.inputs, {}
    for argument, value in inputs.items():
        if argument in kept:
            call.inputs[argument] = kept[argument]
            continue
        messages = taken_plainly(value, argument, call.recording._run, call.refs)
        if messages is None:
            take(call, argument, without_media(value))
        else:
            call.inputs[argument] = messages
    return call


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


def _body(options: Any) -> dict[str, Any]:
    """Return the fields of a request as the client got them."""
    body = options.json_data if isinstance(options.json_data, dict) else {}
    return body | options.extra_json if isinstance(options.extra_json, dict) else body


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
        drawn = {name: value for name, value in inputs.items() if isinstance(value, Iterator)}
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
        watch = self._watch
        if hasattr(result, "response") and hasattr(type(result), "__stream__"):
            watch.is_page = _is_page(result.response)
            tee_items(result, watch)
            tee_body(result.response, watch)
            return
        response = getattr(result, "http_response", None)
        if response is None:
            # A bare HTTP response (a custom ``cast_to``) is read through its JSON, anything else is the parsed answer.
            watch.answered(_plain(result) if hasattr(result, "is_stream_consumed") else result)
        elif response.is_closed:  # a raw response: what it parses is kept and handed to the program
            watch.answered(_parsed(result, response))
        else:  # the program reads items, lines or bytes
            watch.is_page = _is_page(response)
            watch.keep_bytes(decoder_of(response, self._shape, is_event_stream=self._is_event_stream))
            tee_body(response, watch)
            if self._is_event_stream and not inspect.iscoroutinefunction(result.parse):
                tee_items(result.parse(), watch)  # the stream that the program gets if it asks for it; nothing is read


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
