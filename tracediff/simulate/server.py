"""The loopback server: the simulated models behind the OpenAI and Anthropic wire formats, for the real clients."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from tracediff.simulate import anthropic, wire
from tracediff.simulate.agent import Reply, ToolCall, respond
from tracediff.simulate.critic import criticise
from tracediff.simulate.optimizer import propose
from tracediff.simulate.world import World

ROLES = {"sim-solver": "solver", "sim-critic": "critic", "sim-optimizer": "optimizer"}
"""Model name -> role."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what was answered."""

    role: str
    """solver, critic, optimizer; empty when the model is unknown."""
    model: str
    path: str
    body: dict[str, Any]
    status: int
    reply: str
    """The text that the model wrote, or the error's message."""
    start_ns: int
    end_ns: int
    calls: tuple[ToolCall, ...] = ()
    """The tools that the reply calls."""

    @property
    def prompt(self) -> str:
        """Every message of the request as text."""
        return "\n".join(message.text for message in wire.messages_of(self.body))


class Server:
    """A simulated OpenAI and Anthropic endpoint on the loopback interface, running while the context is open.

    Equal requests get equal replies, so concurrency changes no result::

        with Server(World(seed=3)) as server:
            client = OpenAI(base_url=server.base_url, api_key="simulated")
    """

    def __init__(self, world: World, *, port: int = 0) -> None:
        self.world = world
        self._port = port
        self._log: list[Exchange] = []
        self._lock = threading.Lock()
        self._failed: Counter[str] = Counter()
        self._http: _Http | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """Address for the client: ``http://127.0.0.1:PORT/v1``."""
        if self._http is None:
            raise RuntimeError("the simulated server is not running: use it as a context manager, or call start()")
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @property
    def log(self) -> tuple[Exchange, ...]:
        """Every request so far, in the order in which the replies were ready."""
        with self._lock:
            return tuple(self._log)

    def dump(self, path: Path | str) -> None:
        """Write the log as JSONL, one exchange a line."""
        lines = (json.dumps(asdict(exchange)) + "\n" for exchange in self.log)
        Path(path).write_text("".join(lines), encoding="utf-8")

    def start(self) -> Server:
        """Listen; return itself."""
        self._http = _Http(("127.0.0.1", self._port), self)
        # The default of half a second is how long a stop would take.
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, name="tracediff-simulate", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening; the log stays."""
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._thread.join()
            self._http.server_close()
            self._http = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def answer(self, path: str, body: dict[str, Any]) -> Exchange:
        """Return the exchange for one request; status and reply depend on the world and the body only.

        With an error rate, a request fails a number of times that is drawn from the body, and then succeeds.
        """
        start = time.time_ns()
        settings = self.world.settings
        if settings.latency_s:
            time.sleep(settings.latency_s)
        model = str(body.get("model", ""))
        role = ROLES.get(model, "")
        if not role:
            unknown = f"The model `{model}` does not exist; this simulation has {', '.join(ROLES)}."
            status, reply = 404, Reply(unknown)
        elif self._fails(json.dumps(body, sort_keys=True)):
            status, reply = 500, Reply("The simulated server had an error while processing your request.")
        else:
            status, reply = 200, self._reply(role, body)
        exchange = Exchange(role, model, path, body, status, reply.text, start, time.time_ns(), reply.calls)
        with self._lock:
            self._log.append(exchange)
        return exchange

    def _fails(self, body: str) -> bool:
        rate = self.world.settings.error_rate
        if not rate:
            return False
        with self._lock:
            fails = self.world.draw("status", str(self._failed[body]), body) < rate
            self._failed[body] += fails
        return fails

    def _reply(self, role: str, body: dict[str, Any]) -> Reply:
        messages = wire.messages_of(body)
        if role == "solver":
            return respond(self.world, messages, wire.tools_of(body))
        request = "\n".join(message.text for message in messages if message.role == "user")
        if role == "critic":
            return Reply(criticise(self.world, request))
        method = (wire.schema_of(body).get("properties") or {}).get("method") or {}
        names = [name for name in method.get("enum") or () if isinstance(name, str)]
        return Reply(propose(self.world, request, names))


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], simulation: Server) -> None:
        self.simulation = simulation
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away; show what is wrong with the simulation."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "tracediff-simulation"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the log of exchanges is the log."""

    def do_GET(self) -> None:
        """List the models."""
        if self.path.rstrip("/").endswith("/models"):
            models = [{"id": name, "object": "model", "created": 0, "owned_by": "simulation"} for name in ROLES]
            self._send(200, {"object": "list", "data": models})
        else:
            self._send(404, wire.error(f"Unknown request URL: GET {self.path}", "invalid_request_error"))

    def do_POST(self) -> None:
        """Answer a chat completion, a response or a message."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0].rstrip("/")
        if path.endswith(("/messages", "/messages/count_tokens")):
            self._answer_anthropic(path, raw)
            return
        if not self.headers.get("Authorization", "").removeprefix("Bearer").strip():
            self._send(401, wire.error("You didn't provide an API key.", "invalid_request_error", "invalid_api_key"))
            return
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._send(400, wire.error("The body is not a JSON object.", "invalid_request_error"))
            return
        if not path.endswith(("/chat/completions", "/responses")):
            self._send(404, wire.error(f"Unknown request URL: POST {self.path}", "invalid_request_error"))
            return
        if problem := wire.misshapen(body):
            self._send(400, wire.error(problem, "invalid_request_error", "invalid_type"))
            return
        simulation = cast("_Http", self.server).simulation
        exchange = simulation.answer(path, body)
        if exchange.status != 200:
            unknown = exchange.status == 404
            kind = "invalid_request_error" if unknown else "server_error"
            self._send(exchange.status, wire.error(exchange.reply, kind, "model_not_found" if unknown else None))
        elif path.endswith("/responses"):
            if body.get("stream"):
                events = wire.response_events(body, exchange.reply, exchange.calls)
                self._stream(f"event: {name}\ndata: {line}\n\n" for name, line in events)
            else:
                self._send(200, wire.response(body, exchange.reply, exchange.calls))
        elif body.get("stream"):
            self._stream(f"data: {line}\n\n" for line in wire.chat_chunks(body, exchange.reply, exchange.calls))
        else:
            self._send(200, wire.chat_completion(body, exchange.reply, exchange.calls))

    def _answer_anthropic(self, path: str, raw: bytes) -> None:
        """Answer a message request, or count its tokens."""
        if not (self.headers.get("x-api-key") or self.headers.get("Authorization")):
            self._send(401, anthropic.error("x-api-key header is required", "authentication_error"))
            return
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._send(400, anthropic.error("The body is not a JSON object.", "invalid_request_error"))
            return
        if problem := wire.misshapen(body, anthropic.SHAPES):
            self._send(400, anthropic.error(problem, "invalid_request_error"))
            return
        if path.endswith("/count_tokens"):
            self._send(200, anthropic.token_count(body))
            return
        exchange = cast("_Http", self.server).simulation.answer(path, anthropic.as_chat(body))
        if exchange.status != 200:
            kind = "not_found_error" if exchange.status == 404 else "api_error"
            self._send(exchange.status, anthropic.error(exchange.reply, kind))
        elif body.get("stream"):
            events = anthropic.message_events(body, exchange.reply)
            self._stream(f"event: {name}\ndata: {line}\n\n" for name, line in events)
        else:
            self._send(200, anthropic.message(body, exchange.reply))

    def _send(self, status: int, content: wire.Body) -> None:
        raw = json.dumps(content).encode()
        request_id = "sim-" + hashlib.sha256(raw).hexdigest()[:12]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("x-request-id", request_id)
        self.end_headers()
        self.wfile.write(raw)
        self.wfile.flush()

    def _stream(self, events: Iterable[str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            raw = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
