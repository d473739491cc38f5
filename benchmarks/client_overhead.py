"""What recording costs a call of openai or anthropic, as process CPU against the bare client, over loopback HTTP.

The server runs in a process of its own, so that only the client's CPU is measured. Two clients of one process take
turns, call by call: a patched one, and one that has the library's own ``request`` as its attribute, which is what the
bare library does. The medians of their CPU are compared: idle (nobody records), recorded (what the limits are for),
and exported (a span of the SDK for each call, given to an exporter that does nothing)::

    python -m benchmarks.client_overhead
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import contextvars
import importlib
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MethodType
from typing import Any, ClassVar

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

import tracediff as td
from tracediff.capture.instrument import instrument, uninstrument

LIMITS = {"create": 1.08, "async 32": 1.08, "stream 50": 1.15}
_WIDTHS = {"idle": 7, "recorded": 9, "exported": 9}
_TURNS = {"create": 20, "async 32": 2, "stream 50": 5}
_LIBRARIES = ("openai", "anthropic")
"""Turns of a round."""
MESSAGES = [
    {"role": "system", "content": "You count the animals in a text and answer with one number."},
    {"role": "user", "content": "In the barn there are four cats and three dogs. " * 8},
]
TEXT = "There are seven animals: four cats and three dogs."
USAGE = {"prompt_tokens": 110, "completion_tokens": 12, "total_tokens": 122}
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "sim-2026"}


def _whole() -> bytes:
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return json.dumps({**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()


def _events(count: int) -> list[bytes]:
    deltas: list[tuple[dict[str, str], str | None]] = [({"content": f"word{i} "}, None) for i in range(count - 1)]
    found = [
        {**HEAD, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in [*deltas, ({}, "stop")]
    ]
    return [b"data: %s\n\n" % json.dumps(event).encode() for event in found] + [b"data: [DONE]\n\n"]


def _message() -> dict[str, Any]:
    """Return a message of anthropic."""
    usage = {"input_tokens": 110, "output_tokens": 12}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "sim-2026", "stop_sequence": None}
    return {**head, "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "usage": usage}


def _message_events(count: int) -> list[bytes]:
    begun = {**_message(), "content": [], "stop_reason": None}
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    block = {"index": 0, "content_block": {"type": "text", "text": ""}}
    pieces = [{"index": 0, "delta": {"type": "text_delta", "text": f"word{i} "}} for i in range(count - 5)]
    found: list[tuple[str, dict[str, Any]]] = [
        ("message_start", {"message": begun}),
        ("content_block_start", block),
        *(("content_block_delta", piece) for piece in pieces),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": delta, "usage": {"output_tokens": 12}}),
        ("message_stop", {}),
    ]
    return [
        b"event: %s\ndata: %s\n\n" % (name.encode(), json.dumps({"type": name, **data}).encode())
        for name, data in found
    ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    answers: ClassVar = {False: (_whole(), _events(50)), True: (json.dumps(_message()).encode(), _message_events(50))}

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        whole, events = self.answers["/messages" in self.path]
        self.send_response(200)
        if body.get("stream"):
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for event in events:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _serve(port: Any) -> None:
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the client's last connections are reset
    server = _Server(("127.0.0.1", 0), _Handler)
    port.send(server.server_port)
    server.serve_forever()


class _Discard(SpanExporter):
    """An exporter that costs nothing: the span itself is what is measured."""

    def export(self, _: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def _blocks(library: str, address: str, *, is_bare: bool) -> dict[str, Callable[[], None]]:
    """Return case -> one turn of it, by clients of their own, bare ones before the library is patched."""
    module: Any = importlib.import_module(library)
    sync, asynchronous = (
        (module.OpenAI, module.AsyncOpenAI) if library == "openai" else (module.Anthropic, module.AsyncAnthropic)
    )
    client: Any = sync(api_key="k", base_url=address, max_retries=0)
    alike: Any = asynchronous(api_key="k", base_url=address, max_retries=0)
    if is_bare:
        client.request, alike.request = MethodType(sync.request, client), MethodType(asynchronous.request, alike)
    runner = asyncio.Runner()
    asked: dict[str, Any] = {"model": "sim", "messages": MESSAGES}
    if library == "anthropic":
        asked = {"model": "sim", "max_tokens": 99, "system": MESSAGES[0]["content"], "messages": MESSAGES[1:]}
    calls = client.chat.completions if library == "openai" else client.messages
    acalls = alike.chat.completions if library == "openai" else alike.messages

    def create() -> None:
        calls.create(**asked)

    def stream() -> None:
        for _ in calls.create(**asked, stream=True):
            pass

    async def many() -> None:
        async def one() -> None:
            await acalls.create(**asked)

        await asyncio.gather(*(one() for _ in range(32)))

    def at_once() -> None:
        runner.run(many(), context=contextvars.copy_context())

    return {"create": create, "async 32": at_once, "stream 50": stream}


def _cpu_us(turn: Callable[[], None]) -> float:
    start = time.process_time()
    turn()
    return (time.process_time() - start) * 1e6


def _compared(bare: Callable[[], None], patched: Callable[[], None], turns: int) -> tuple[float, float]:
    """Return the median CPU of a bare turn, and the patched one's ratio to it."""
    for turn in [bare, patched] * 10:
        turn()
    spent: dict[Callable[[], None], list[float]] = {bare: [], patched: []}
    for number in range(turns):
        for turn in (bare, patched) if number % 2 else (patched, bare):
            spent[turn].append(_cpu_us(turn))
    median = statistics.median(spent[bare])
    return median, statistics.median(spent[patched]) / median


def measure(library: str, address: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return case -> ``bare`` (median CPU of a turn in microseconds) and each way of running (ratio to it)."""
    bare, patched = (_blocks(library, address, is_bare=is_bare) for is_bare in (True, False))
    found: dict[str, dict[str, float]] = {name: {} for name in LIMITS}
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_Discard()))
    for kind in _WIDTHS:
        instrument(library, tracer_provider=provider if kind == "exported" else None)
        for name, turns in _TURNS.items():
            with td.record() if kind == "recorded" else contextlib.nullcontext():
                found[name]["bare"], found[name][kind] = _compared(bare[name], patched[name], turns * rounds)
        uninstrument()
    return found


def main() -> None:
    """Print the ratios; exit with 1 where one is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    receiving, sending = multiprocessing.get_context("spawn").Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(sending,), daemon=True)
    server.start()
    try:
        root = f"http://127.0.0.1:{receiving.recv()}"
        found = {name: measure(name, f"{root}/v1" if name == "openai" else root, given.rounds) for name in _LIBRARIES}
    finally:
        server.terminate()
        server.join()
    print(f"{'case':20} {'bare, ms a turn':>17} {'idle':>7} {'recorded':>9} {'exported':>9} {'limit':>6}")
    for library, cases in found.items():
        for name, of in cases.items():
            ratios = " ".join(f"{of[kind]:{width}.3f}" for kind, width in _WIDTHS.items())
            print(f"{library + ' ' + name:20} {of['bare'] / 1000:17.2f} {ratios} {LIMITS[name]:6.2f}")
    if any(of["recorded"] > LIMITS[name] for cases in found.values() for name, of in cases.items()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
