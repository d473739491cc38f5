"""Beside other instrumentations, for real: one model node a call, theirs keep working, theirs alone are enough.

Each case runs in a process of its own, for these packages patch the client for good. Skipped where one is absent.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

from tracediff import attributes as keys
from tracediff.graph import ParameterGraph

ROOT = pathlib.Path(__file__).parents[2]
PACKAGES = {
    "openinference": "openinference.instrumentation.openai",
    "openllmetry": "opentelemetry.instrumentation.openai",
    "genai": "opentelemetry.instrumentation.openai_v2",
    "logfire": "logfire",
    "anthropic": "anthropic",
}


def run(which, ours):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "integrations")]),
        keys.CAPTURE_CONTENT_VARIABLE: "SPAN_ONLY",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "TRACELOOP_TRACE_CONTENT": "true",
    }
    command = [sys.executable, "-m", "tests.export.beside_program", which, "ours" if ours else "alone"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(params=PACKAGES)
def which(request):
    package = PACKAGES[request.param]
    try:
        found = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        found = None
    if found is None or importlib.util.find_spec("openai") is None:
        pytest.skip(f"{package} is not installed")
    return request.param


def scopes(export):
    return {scope["scope"]["name"] for resource in export["resourceSpans"] for scope in resource["scopeSpans"]}


def theirs(export):
    return len([
        span
        for resource in export["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
        if scope["scope"]["name"] not in ("tracediff", "app")
    ])  # fmt: skip


def test_one_node_a_call_and_theirs_keep_working(which):
    alone, beside = run(which, ours=False), run(which, ours=True)
    assert beside["answer"] == alone["answer"]
    assert theirs(beside["export"]) == theirs(alone["export"]) > 0
    assert "tracediff" in scopes(beside["export"])
    graph = ParameterGraph.from_otlp(beside["export"])
    assert [node.kind for node in graph.nodes if node.kind != "output"] == ["llm", "llm"]
    assert graph.to_json() == beside["live"]


def test_their_spans_alone_are_a_graph(which):
    if which == "anthropic":
        pytest.skip("anthropic's own spans carry no messages")
    alone = run(which, ours=False)
    graph = ParameterGraph.from_otlp(alone["export"])
    assert [node.kind for node in graph.nodes if node.kind != "output"] == ["llm", "llm"]
    assert [
        (edge.source.index, edge.target.index, edge.argument) for edge in graph.edges if edge.target.kind == "llm"
    ] == [(0, 1, "messages")]
