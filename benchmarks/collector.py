"""What a collector that is down, hangs or answers 503 costs the program, and what becomes of the spans.

    python benchmarks/collector.py [--json]

Needs opentelemetry-exporter-otlp-proto-http. For each collector, in a process of its own, behind a
BatchSpanProcessor:

added_ms        wall time of a traced call beyond the same call recorded and not exported: median of batches of 50, and
                their 99th percentile (in a burst on two cores the exporter's own thread takes its share)
flush_s         how long tracediff.flush_export(timeout_s=1) took
exit_s          how long the provider's own shutdown took, with exit_timeout_s=1 (without it: up to 30 s)
recorded        calls in the recording
exported, failed, dropped    spans, by tracediff.export_report()
"""

from __future__ import annotations

import importlib.util
import json
import logging
import socket
import statistics
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import perf_counter

CALLS, BATCH = 10_000, 50
KINDS = ("healthy", "dead", "hanging", "refusing")
MAX_ADDED_MS = 1.0
FLUSH_S = EXIT_S = 1.0
QUESTION, ANSWER = "q" * 1024, "a" * 200


class Collector(BaseHTTPRequestHandler):
    status = 200
    gate: threading.Event | None = None

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.gate is not None:
            self.gate.wait()
        self.send_response(self.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def port_of(kind: str) -> int:
    """Return the port where such a collector is."""
    if kind == "dead":
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])
    handler = type(
        "Handler",
        (Collector,),
        {"status": 503 if kind == "refusing" else 200, "gate": threading.Event() if kind == "hanging" else None},
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_port)


def batches() -> list[float]:
    """Return the wall time of a call in ms, by batches."""
    from tracediff.capture import functional_node

    def answer(question: str) -> str:  # noqa: ARG001
        return ANSWER

    traced = functional_node(answer)
    found = []
    for _ in range(CALLS // BATCH):
        start = perf_counter()
        for _ in range(BATCH):
            traced(QUESTION)
        found.append((perf_counter() - start) * 1_000 / BATCH)
    return found


def measure(kind: str) -> dict[str, float]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    import tracediff
    from tracediff.capture import exits, spans

    logging.disable(logging.CRITICAL)
    with tracediff.record():
        recorded = batches()
    provider = TracerProvider(shutdown_on_exit=False)
    endpoint = f"http://127.0.0.1:{port_of(kind)}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint), schedule_delay_millis=500))
    spans.use_provider(provider)
    exits.bound(EXIT_S)
    with tracediff.record() as run:
        exported = batches()
    start = perf_counter()
    report = tracediff.flush_export(timeout_s=FLUSH_S)
    flush_s = perf_counter() - start
    start = perf_counter()
    provider.shutdown()
    exit_s = perf_counter() - start
    (last,) = tracediff.export_report().exporters
    base = statistics.median(recorded)
    return {
        "added_ms": statistics.median(exported) - base,
        "added_ms_p99": statistics.quantiles(exported, n=100)[98] - base,
        "flush_s": flush_s,
        "exit_s": exit_s,
        "recorded": len(run.records),
        "ended": report.ended,
        "exported": last.exported,
        "failed": last.failed,
        "dropped": last.dropped,
        "waiting": last.waiting,
    }


def main() -> int:
    if len(sys.argv) == 3 and sys.argv[1] == "--one":
        print(json.dumps(measure(sys.argv[2])), flush=True)
        return 0
    if importlib.util.find_spec("opentelemetry.exporter") is None:
        print("not measured: opentelemetry-exporter-otlp-proto-http is not installed")
        return 0
    figures = {}
    for kind in KINDS:
        command = [sys.executable, __file__, "--one", kind]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
        figures[kind] = json.loads(done.stdout.splitlines()[-1])
    if "--json" in sys.argv:
        print(json.dumps(figures))
    else:
        for kind, found in figures.items():
            print(
                f"{kind:9} "
                + "  ".join(
                    f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"
                    for name, value in found.items()
                )
            )
        bars = f"added_ms {MAX_ADDED_MS}, flush_s {FLUSH_S + 0.2}, exit_s {EXIT_S + 0.2}"
        print(f"at most: {bars}; recorded {CALLS} of {CALLS}")
    is_kept = all(
        found["added_ms"] <= MAX_ADDED_MS
        and found["added_ms_p99"] <= MAX_ADDED_MS
        and found["flush_s"] <= FLUSH_S + 0.2
        and found["exit_s"] <= EXIT_S + 0.2
        and found["recorded"] == CALLS
        and found["exported"] + found["failed"] + found["dropped"] + found["waiting"] == found["ended"]
        for found in figures.values()
    )
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
