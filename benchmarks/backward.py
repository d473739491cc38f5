"""Time of a backward pass over a batch of 8 runs of depth 3, beside three times the server's latency.

    python benchmarks/backward.py             # scripted engine: the driver's own cost
    python benchmarks/backward.py --http      # the real client over HTTP against a process of its own

However wide the graphs are, the time should be that of three calls, one after the other. A call takes 100 ms; the loss
has the metric's own feedback. Prints one line for each width, the best of three; exits with 1 if one is more than twice
three latencies. `client_alone` is the same for the same requests sent layer by layer from as many threads: with many at
once the client library's own work on the processor shows, and no driver can be faster.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tracediff.autodiff import backward_batch
from tracediff.engine import Engine, EngineRequest, connect
from tracediff.graph import Node, ParameterGraph
from tracediff.scores import Score
from tracediff.testing import RunBuilder, ScriptedEngine, feedback_for

LATENCY_S = 0.1
SAMPLES = 8
DEPTH = 3
WIDTHS = (1, 2, 4, 10)
LIMIT = 2.0


def graph(sample: str, width: int) -> ParameterGraph:
    """Return a run of DEPTH layers: ``width`` model calls each, all fed by all of the layer before, then one."""
    run = RunBuilder(sample)
    before: list[Node] = []
    for layer in range(DEPTH - 1):
        before = [
            run.llm(
                f"app.layer{layer}.call{at}:chat",
                f"What call {at} of layer {layer} said about {sample}.",
                messages=[run.prompt(f"app.prompt{layer}.{at}", f"Do part {at} of step {layer}."), *before],
            )
            for at in range(width)
        ]
    return run.graph(run.llm("app.last:chat", "The end.", messages=[run.prompt("app.last", "Conclude."), *before]))


async def serve() -> None:
    """Answer every chat completion after LATENCY_S with feedback for each id; print the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readline()):
            length = 0
            while (line := await reader.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = json.loads(await reader.readexactly(length)) if head.startswith(b"POST") else {}
            await asyncio.sleep(LATENCY_S)
            schema = json.dumps(body["response_format"]["json_schema"]["schema"])
            text = json.dumps(feedback_for(EngineRequest("backward", "", "", schema=schema)))
            message = {"role": "assistant", "content": text}
            reply = {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": "benchmark",
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            }
            sent = json.dumps(reply).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n".encode()
            writer.write(head + sent)
            await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def connected() -> Iterator[Engine]:
    """Yield an engine over HTTP, its first connection made."""
    process = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        os.environ["OPENAI_BASE_URL"] = f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        os.environ.setdefault("OPENAI_API_KEY", "benchmark")
        engine = connect("openai:benchmark")
        backward_batch([(graph("warm", 1), Score(0.0, "wrong"))], engine)
        yield engine
    finally:
        process.terminate()
        process.wait()


def measure(engine: Engine, width: int) -> float:
    """Print the line of one width and return its ratio to DEPTH latencies."""
    batch = [(graph(f"s{at}", width), Score(0.0, "wrong")) for at in range(SAMPLES)]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        gradients = backward_batch(batch, engine)
        times.append(time.perf_counter() - start)
    ratio = min(times) / (DEPTH * LATENCY_S)
    alone = min(client_alone(engine, batch) for _ in range(3)) / (DEPTH * LATENCY_S)
    found = {
        "samples": SAMPLES,
        "depth": DEPTH,
        "width": width,
        "engine_calls": gradients.engine_calls,
        "seconds": round(min(times), 3),
        "ratio_to_three_latencies": round(ratio, 2),
        "client_alone": round(alone, 2),
    }
    print(json.dumps(found))
    return ratio


def client_alone(engine: Engine, batch: list[tuple[ParameterGraph, Score]]) -> float:
    """Return the seconds that the requests of a batch take, layer by layer, without the driver."""
    recorder = ScriptedEngine()
    backward_batch(batch, recorder)
    layers: dict[str, list[EngineRequest]] = {}
    for request in recorder.requests:
        layers.setdefault(request.user.split('<node name="')[1].split(".call")[0], []).append(request)
    start = time.perf_counter()
    for requests in layers.values():
        with ThreadPoolExecutor(len(requests)) as pool:
            list(pool.map(engine, requests))
    return time.perf_counter() - start


def main() -> int:
    """Return the exit code."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--http", action="store_true", help="through the real client over HTTP")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.serve:
        asyncio.run(serve())
    if given.http:
        with connected() as engine:
            worst = max(measure(engine, width) for width in WIDTHS)
    else:
        worst = max(measure(ScriptedEngine(latency_s=LATENCY_S), width) for width in WIDTHS)
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
