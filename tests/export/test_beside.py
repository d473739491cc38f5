"""Beside other instrumentations, for real: one model node a call, theirs keep working, theirs alone are enough.

Each case runs in a process of its own, for these packages patch the client for good. Skipped where one is absent;
``make test-clients`` installs them all.
"""

import functools
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
    "openinference": ("openinference.instrumentation.openai", "openinference.instrumentation.anthropic"),
    "openllmetry": ("opentelemetry.instrumentation.openai", "opentelemetry.instrumentation.anthropic"),
    "genai": ("opentelemetry.instrumentation.genai.openai", "opentelemetry.instrumentation.genai.anthropic"),
    "genai-v2": ("opentelemetry.instrumentation.openai_v2",),
    "logfire": ("logfire",),
    "logfire-open": ("logfire",),
    "anthropic": ("anthropic",),
}


@functools.cache
def run(which, order):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "integrations")]),
        keys.CAPTURE_CONTENT_VARIABLE: "SPAN_ONLY",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "TRACELOOP_TRACE_CONTENT": "true",
    }
    command = [sys.executable, "-m", "tests.export.beside_program", which, order]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(params=PACKAGES)
def which(request):
    for package in ("openai", "anthropic", *PACKAGES[request.param]):
        try:
            found = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            found = None
        if found is None:
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


def model_calls(graph):
    return [node.kind for node in graph.nodes if node.kind != "output"]


def edges_between_calls(graph):
    return [(edge.source.index, edge.target.index) for edge in graph.edges if edge.target.kind == "llm"]


@pytest.mark.parametrize("order", ["before", "after"])
def test_one_node_a_call_and_theirs_keep_working(which, order):
    for shape, alone in run(which, "alone").items():
        beside = run(which, order)[shape]
        assert beside["answer"] == alone["answer"], shape
        assert theirs(beside["export"]) == theirs(alone["export"]) > 0, shape
        assert [node["kind"] for node in beside["live"]["nodes"] if node["kind"] != "output"] == ["llm", "llm"], shape
        assert all(node["output"] for node in beside["live"]["nodes"] if node["kind"] == "llm"), shape
        graph = ParameterGraph.from_otlp(beside["export"])
        assert model_calls(graph) == ["llm", "llm"], shape
        assert edges_between_calls(graph) == [(0, 1)], shape
        if which == "logfire" and order == "before":  # it suppresses us inside its own spans: the calls are there
            assert graph.notes[0] == "2 calls are known from spans of another instrumentation only", shape
            assert not any("did not arrive" in note for note in graph.notes), shape
        else:
            assert graph.to_json() == beside["live"], shape


def test_their_spans_alone_are_a_graph(which):
    if which == "anthropic":
        pytest.skip("anthropic's own spans carry no messages")
    for shape, alone in run(which, "alone").items():
        graph = ParameterGraph.from_otlp(alone["export"])
        assert model_calls(graph) == ["llm", "llm"], shape
        assert edges_between_calls(graph) == [(0, 1)], shape
