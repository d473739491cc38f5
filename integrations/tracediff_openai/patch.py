"""The patch of ``OpenAI.request`` and ``AsyncOpenAI.request``. The client library is never imported from here."""

from __future__ import annotations

import functools
import importlib.util
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import wrapt
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from tracediff import MissingIntegration
from tracediff import attributes as keys
from tracediff.capture import recorder
from tracediff.capture.callsite import calling_site
from tracediff.capture.context import current_scope
from tracediff.capture.faults import faults
from tracediff_openai.shapes import Shape, inputs_of, settings_of, shape_of
from tracediff_openai.streams import tee_body, tee_items
from tracediff_openai.watch import Watch
from tracediff_openai.wire import decoder_of


def install() -> Callable[[], None]:
    """Patch the openai client, now if it is imported, else when it is; return what undoes it.

    Raises:
        MissingIntegration: openai is not installed.
    """
    if importlib.util.find_spec("openai") is None:
        raise MissingIntegration(
            "instrument('openai') needs the package openai; install it: pip install 'tracediff[openai]'"
        )
    patch = _Patch()
    wrapt.register_post_import_hook(patch.apply, "openai")
    return patch.undo


class _Patch:
    """One installation: the classes it patched, and whether it is still wanted."""

    def __init__(self) -> None:
        self._is_on = True
        self._patched: list[tuple[type[Any], bool, Any, Any]] = []
        """(class, the attribute was its own, what was there, what stands there now)."""

    def apply(self, openai: Any) -> None:
        """Patch the imported library, unless uninstalled before its import."""
        if not self._is_on:
            return
        for client_class, wrap in ((openai.OpenAI, self._sync), (openai.AsyncOpenAI, self._async)):
            original = client_class.request
            replaced = wrap(original)
            self._patched.append((client_class, "request" in vars(client_class), original, replaced))
            client_class.request = replaced

    def undo(self) -> None:
        """Restore the classes: an inherited method is deleted. A patch that another tool put on top of ours stays."""
        self._is_on = False
        for client_class, was_own, original, replaced in reversed(self._patched):
            if vars(client_class).get("request") is not replaced:
                continue  # ours lies below another's now, and goes straight through
            if was_own:
                client_class.request = original
            else:
                del client_class.request
        self._patched.clear()

    def _sync(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            begun = _begin(client, args, kwargs) if self._is_on else None
            if begun is None:
                return original(client, *args, **kwargs)
            try:
                with begun.active():
                    result = original(client, *args, **kwargs)
            except BaseException as error:
                _guarded(begun, _fail, error)
                raise
            _guarded(begun, _follow, result)
            return result

        return request

    def _async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            begun = _begin(client, args, kwargs) if self._is_on else None
            if begun is None:
                return await original(client, *args, **kwargs)
            try:
                with begun.active():
                    result = await original(client, *args, **kwargs)
            except BaseException as error:
                _guarded(begun, _fail, error)
                raise
            _guarded(begun, _follow, result)
            return result

        return request


class _Begun(NamedTuple):
    """A call that is recorded."""

    watch: Watch
    shape: Shape
    is_event_stream: bool
    active: Callable[[], AbstractContextManager[Any]]


def _begin(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Begun | None:
    """Return the recorded call, or None when nobody records it or something of ours failed."""
    if recorder.is_idle():
        return None
    try:
        scope = current_scope()
        if (scope is not None and scope.is_suppressed) or not is_instrumentation_enabled():
            return None
        options = kwargs["options"] if "options" in kwargs else args[1]
        shape = shape_of(options.method, options.url)
        if shape is None:
            return None
        site = calling_site()
        name = f"openai.{shape.suffix}" if site is None else f"{site}:{shape.suffix}"
        recorder.note_lost_context(name)
        body = options.json_data if isinstance(options.json_data, dict) else {}
        if isinstance(options.extra_json, dict):
            body = body | options.extra_json
        attributes = {
            keys.OPERATION_NAME: shape.operation,
            keys.PROVIDER_NAME: _provider(type(client)),
            keys.SERVER_ADDRESS: client.base_url.host,
            keys.SERVER_PORT: client.base_url.port or 443,
            **settings_of(shape, body),
        }
        call = recorder.begin(name, "llm", inputs_of(shape, body), attributes=attributes)
        if call is None:
            return None
        watch = Watch(call, shape)
        if callable(options.post_parser):
            options.post_parser = _seen_by(watch, options.post_parser)
        return _Begun(watch, shape, bool(kwargs.get("stream")), call.active)
    except Exception as error:  # the program's call goes on without a record
        faults.note("beginning an openai call", error)
        return None


def _seen_by(watch: Watch, parser: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the client's own parser of structured output, which shows what it parses: it may raise on it."""

    def parse(answer: Any) -> Any:
        watch.parsing = answer
        return parser(answer)

    return parse


def _provider(client_class: type[Any]) -> str:
    """Return ``gen_ai.provider.name`` of a client class."""
    names = {base.__name__ for base in client_class.__mro__}
    if "BaseAzureClient" in names:
        return "azure.ai.openai"
    return "aws.bedrock" if any("Bedrock" in name for name in names) else "openai"


def _guarded(begun: _Begun, step: Callable[[_Begun, Any], None], outcome: Any) -> None:
    """Run a step of ours after the program's call: its failure is counted, never raised, and ends the record."""
    try:
        step(begun, outcome)
    except Exception as error:
        faults.note("ending an openai call", error)
        begun.watch.give_up()


def _fail(begun: _Begun, error: BaseException) -> None:
    """End the record with the exception that left the call."""
    begun.watch.failed(error)


def _follow(begun: _Begun, result: Any) -> None:
    """End the record with the result, or see to it that its end will be seen."""
    watch = begun.watch
    if hasattr(result, "_iterator") and hasattr(result, "response"):
        tee_items(result, watch)
        tee_body(result.response, watch)
        return
    response = getattr(result, "http_response", None)
    if response is None:
        # A bare HTTP response (a custom ``cast_to``) is read through its JSON, anything else is the parsed answer.
        watch.answered(result.json() if hasattr(result, "is_stream_consumed") else result)
        return
    if response.is_closed:  # a raw response: what it parses is kept and handed to the program
        watch.answered(_parsed(result))
        return
    # A streaming response: the program reads items, lines or bytes.
    watch.keep_bytes(decoder_of(response, begun.shape, is_event_stream=begun.is_event_stream))
    tee_body(response, watch)
    if begun.is_event_stream and not inspect.iscoroutinefunction(result.parse):
        tee_items(result.parse(), watch)  # the stream that the program gets if it asks for it, nothing is read yet


def _parsed(raw: Any) -> Any:
    """Return what the program will get from ``raw.parse()``: the very object, which the client keeps.

    A parser that raises will raise for the program too; the record then reads the plain JSON, if there is any.
    """
    try:
        return raw.parse()
    except Exception:
        try:
            return raw.http_response.json()
        except ValueError:
            return raw.http_response.text
