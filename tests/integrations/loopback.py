"""A loopback HTTP server that answers each request with the next of its scripted replies."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """One reply. A number among the chunks is a pause in seconds, an Event is waited for; None cuts the connection."""

    chunks: list = field(default_factory=list)
    status: int = 200
    headers: dict = field(default_factory=dict)


def page(text, content_type="application/json", status=200, **headers):
    return Answer([text.encode()], status, {"content-type": content_type, **headers})


def as_json(body, status=200, **headers):
    return page(json.dumps(body), status=status, **headers)


def events(bodies, *, done=True, cut=False):
    """Each event in a packet of its own."""
    chunks = [f"data: {json.dumps(body)}\n\n".encode() for body in bodies]
    chunks += [b"data: [DONE]\n\n"] if done else []
    return Answer([*chunks, *([None] if cut else [])], 200, {"content-type": "text/event-stream"})


def named_events(bodies):
    """Events of the responses API, which name their type."""
    chunks = [f"event: {body['type']}\ndata: {json.dumps(body)}\n\n".encode() for body in bodies]
    return Answer(chunks, 200, {"content-type": "text/event-stream"})


@dataclass(frozen=True)
class Seen:
    path: str
    headers: tuple
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Loopback:
    def __init__(self):
        self.answers = []
        self.seen = []
        self.late = 0
        """Events that nobody set in time."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = tuple((k.lower(), v) for k, v in self.headers.items() if k.lower() != "host")
                server.seen.append(Seen(self.path, headers, body))
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for chunk in answer.chunks:
                    if chunk is None:
                        self.close_connection = True
                        return
                    if isinstance(chunk, threading.Event):
                        server.late += not chunk.wait(10)
                    elif isinstance(chunk, float):
                        time.sleep(chunk)
                    elif chunk:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                        self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

            do_GET = do_POST

            def handle(self):
                try:
                    super().handle()
                except ConnectionError:
                    pass  # the client left

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def script(self, *answers):
        """Answer with these, the last one again and again; forget what was seen."""
        self.answers = list(answers)
        self.seen = []
        self.late = 0

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
