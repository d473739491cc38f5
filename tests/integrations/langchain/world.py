"""A loopback server that answers each chat request by a function of it, whatever order requests come in."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.integrations import bodies


def call(name, number=1, **arguments):
    """A tool call as the server says it."""
    return {
        "id": f"call_{number}_{name}",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


def _pieces(text):
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def _chunks(reply):
    text, calls = (None, reply) if isinstance(reply, list) else (reply, [])
    found = [bodies.chunk({"role": "assistant", "content": "" if text else None})]
    found += [bodies.chunk({"content": piece}) for piece in _pieces(text or "")]
    found += [bodies.chunk({"tool_calls": [{"index": at, **item}]}) for at, item in enumerate(calls)]
    return [*found, bodies.chunk({}, "tool_calls" if calls else "stop"), bodies.chunk(usage=bodies.USAGE)]


class World:
    """``reply(text of the system prompt, text of all other messages, the body) -> a text, or a list of tool calls``."""

    def __init__(self):
        self.reply = None
        self.seen = []
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["content-length"]))
                body = json.loads(raw)
                world.seen.append(raw)
                said = [(turn["role"], _text(turn.get("content"))) for turn in body["messages"]]
                system = "\n".join([_text(body.get("system")), *(text for role, text in said if role == "system")])
                rest = "\n".join(text for role, text in said if role != "system")
                reply = world.reply(system.strip(), rest, body)
                if self.path.endswith("/messages"):
                    made = json.dumps(_claude(reply)).encode()
                elif body.get("stream"):
                    made = b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in _chunks(reply))
                    made += b"data: [DONE]\n\n"
                else:
                    calls = reply if isinstance(reply, list) else None
                    made = json.dumps(
                        bodies.chat(None if calls else reply, "tool_calls" if calls else "stop", calls)
                    ).encode()
                self.send_response(200)
                kind = "text/event-stream" if body.get("stream") else "application/json"
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(made)))
                self.end_headers()
                self.wfile.write(made)

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

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _claude(reply):
    from tests.integrations import anthropic_bodies

    if isinstance(reply, str):
        return anthropic_bodies.message(reply)
    blocks = [
        {
            "type": "tool_use",
            "id": item["id"],
            "name": item["function"]["name"],
            "input": json.loads(item["function"]["arguments"]),
        }
        for item in reply
    ]
    return anthropic_bodies.message(None, "tool_use", blocks)


def _text(content):
    if isinstance(content, list):
        return "\n".join(part.get("text", "") or _text(part.get("content")) for part in content)
    return content or ""
