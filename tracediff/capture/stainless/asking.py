"""What a request of a client says: its inputs, taken as they are now, and its settings, read when somebody asks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from tracediff import attributes as keys
from tracediff.capture import metering, recorder, spans
from tracediff.capture.stainless.calls import take, taken_plainly
from tracediff.capture.stainless.media import without_media
from tracediff.capture.stainless.shape import Shape, is_given, settings_of

_ATOMS = frozenset({str, int, float, bool, type(None)})
_MISSING = object()


class Clients:
    """What the attributes of a library's calls say of its clients, read once: it costs as much as they do."""

    def __init__(self, provider_of: Callable[[type[Any]], str]) -> None:
        """Remember how the provider of a client class is told."""
        self._provider_of = provider_of
        self._providers: dict[type[Any], str] = {}
        self._address: tuple[object, str, int] = None, "", 0
        """The URL asked for last, its host and port."""

    def address(self, url: Any) -> tuple[str, int]:
        """Return host and port of a client's URL."""
        known, host, port = self._address
        if known is not url:
            host, port = url.host, url.port or 443
            self._address = url, host, port
        return host, port

    def provider(self, client_class: type[Any]) -> str:
        """Return ``gen_ai.provider.name`` of a client class."""
        found = self._providers.get(client_class)
        if found is None:
            found = self._providers[client_class] = self._provider_of(client_class)
        return found


def body_of(options: Any) -> dict[str, Any]:
    """Return the fields of a request as the client got them."""
    body = options.json_data if isinstance(options.json_data, dict) else {}
    return body | options.extra_json if isinstance(options.extra_json, dict) else body


def inputs_of(shape: Shape, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request that are inputs, in the order of the shape."""
    inputs: dict[str, Any] = {}
    for argument in shape.inputs:
        value = body.get(argument, _MISSING)
        if type(value) is list or (value is not _MISSING and is_given(value)):
            inputs[argument] = value
    return inputs


def begun(
    name: str, shape: Shape, inputs: Mapping[str, Any], about: Callable[[], dict[str, Any]]
) -> recorder.Call | None:
    """Return the call that has begun, with its inputs taken; what it is about is read now only for a span."""
    is_seen = spans.is_on() or metering.is_on()
    walked = {argument: value for argument, value in inputs.items() if type(value) is not list}
    call = recorder.begin(name, shape.kind, walked, attributes=about() if is_seen else None)
    if call is None:
        return None
    try:
        if not is_seen:
            call.late = (about,)
        if len(walked) < len(inputs):
            _take_lists(call, inputs)
    except Exception:
        call.end(attributes={keys.UNFINISHED: True})
        raise
    return call


def _take_lists(call: recorder.Call, inputs: Mapping[str, Any]) -> None:
    """Take the inputs that are lists, as messages and tools are, and put all in order."""
    walked, call.inputs = call.inputs, {}
    for argument, value in inputs.items():
        if argument in walked:
            call.inputs[argument] = walked[argument]
            continue
        messages = taken_plainly(value, argument, call.recording._run, call.refs)
        if messages is None:
            take(call, argument, without_media(value))
        else:
            call.inputs[argument] = messages


def about(clients: Clients, client: Any, shape: Shape, body: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """Return what reads the attributes of a request later; it holds nothing that the program may change."""
    skipped = shape.inputs
    settings = {
        name: value if type(value) in _ATOMS else kept(value) for name, value in body.items() if name not in skipped
    }
    url = getattr(client, "_base_url", None) or client.base_url  # openai's property takes longer than all of this
    return functools.partial(asked, clients, type(client), url, shape, settings)


def asked(
    clients: Clients, client_class: type[Any], url: Any, shape: Shape, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the attributes say of a request."""
    host, port = clients.address(url)
    return {
        keys.OPERATION_NAME: shape.operation,
        keys.PROVIDER_NAME: clients.provider(client_class),
        keys.SERVER_ADDRESS: host,
        keys.SERVER_PORT: port,
        **settings_of(shape, settings),
    }


def kept(value: Any) -> Any:
    """Return a setting as it is now: the program may change its own mappings and lists after the call."""
    if type(value) is dict:
        return {key: item if type(item) in _ATOMS else kept(item) for key, item in value.items()}
    return [item if type(item) in _ATOMS else kept(item) for item in value] if type(value) is list else value
