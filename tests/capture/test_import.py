"""What ``import tracediff`` loads: a program that only decorates waits for little more than Python itself."""

import subprocess
import sys

LATE = (
    *("openai", "anthropic", "httpx", "pydantic", "rich", "typer", "jinja2", "wrapt", "orjson", "asyncio", "ssl"),
    *("opentelemetry.sdk", "opentelemetry.metrics", "opentelemetry.instrumentation"),
    *("tracediff.capture.content", "tracediff.capture.delivery", "tracediff.graph", "tracediff.training"),
)
"""Loaded by what needs it: a client, an export, a run, a loop of the program's own."""


def loaded(code):
    code = f"{code}\nimport sys\nprint([name for name in {LATE!r} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_decorated_program_loads_nothing_that_it_does_not_use():
    decorated = "import tracediff\n@tracediff.functional_node\ndef step(x): return x\nstep(1)"
    assert loaded(decorated) == "[]"


def test_what_is_used_is_loaded():
    assert loaded("import tracediff\nwith tracediff.record(): pass") != "[]"
