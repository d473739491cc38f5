"""A fault in any step of ours leaves what the program sees as it was, is counted, and still ends the record."""

import importlib
import inspect
import types
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.integrations import modes, shapes_table
from tests.integrations.loopback import Loopback, as_json
from tests.integrations.shapes_table import Case, Clients
from tests.integrations.test_replay import outcome
from tracediff import attributes as keys
from tracediff.capture.faults import faults
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.graph.runs import record

MODULES = [
    *(
        f"tracediff.capture.stainless.{name}"
        for name in ("asking", "calls", "media", "patch", "shape", "streams", "watch", "wire")
    ),
    "tracediff.capture.callsite",
    "tracediff.capture.description",
    "tracediff.capture.recorder",
    "tracediff.capture.spans",
    "tracediff_openai.shapes",
    "tracediff_anthropic.shapes",
]
EDGES = {
    # What the program itself calls: the patched methods, the iterators in its streams, and the places that catch.
    "install",
    "wraps",
    "SyncTee",
    "AsyncTee",
    "_Patch",
    "_PassedBy",
    "_sync_request",
    "_async_request",
    "_begin",
    "_unfelt",
    "_Request.failed",
    "_Request.returned",
    "_Request.give_up",
    "Watch.drawing",
    "Watch.parsed_by",
    "Watch.item",
    "Watch.data",
    "Watch.exhausted",
    "Watch.failed",
    "Watch.give_up",
    # Other rooms' own, tested there.
    "use_provider",
    "Recording",
    "_Run",
    "_Live",
    "Call.end",
    "Call.record",
    "Call._attributes",
    "Call._settle",
    "_teed",
}


RECORDING = {"tracediff.capture.recorder.detach"}
"""What the test's own ``with record()`` runs."""


def steps():
    """(module, name) of every function and method of ours that a client call may run."""
    found = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name, value in vars(module).items():
            owner = getattr(value, "__module__", None)
            if name in EDGES or not str(owner).startswith("tracediff"):
                continue
            if isinstance(value, types.FunctionType):
                found[f"{module_name}.{name}"] = None
            elif inspect.isclass(value) and owner == module_name:
                for method, function in vars(value).items():
                    if isinstance(function, types.FunctionType) and f"{name}.{method}" not in EDGES:
                        if not method.startswith("__") or method == "__init__":
                            found[f"{module_name}.{name}.{method}"] = None
    return [step for step in found if step not in RECORDING]


def cases():
    chosen = (
        modes.create,
        modes.raw,
        modes.stream,
        modes.stream_partly,
        modes.streaming_bytes,
        modes.astream,
        modes.parse,
    )
    library = "openai" if shapes_table.openai else "anthropic"
    methods = ("chat.completions.create", "messages.create", "messages.parse", "embeddings.create", "responses.create")
    plain = [case for case in shapes_table.CASES if case.mode in chosen and case.method in methods]
    plain = [case for case in plain if not case.client or " " in case.client]
    method = "chat.completions.create" if library == "openai" else "messages.create"
    asked = shapes_table.CHAT if library == "openai" else shapes_table.MESSAGES
    refused = as_json({"error": {"message": "no"}}, 400)
    streamed = next(case.answer for case in plain if case.mode is modes.stream)
    return [
        *plain,
        Case(library, method, modes.create, asked, refused, None),
        Case(library, method, modes.stream_partly, asked, streamed, None),
        *(case for case in shapes_table.CASES if case.library == "anthropic" and case.mode is modes.create_generator),
    ]


@pytest.fixture(scope="module")
def server():
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture(scope="module")
def bare(server):
    clients = Clients(server)
    found = [(case, outcome(case, server, clients)) for case in cases()]
    yield clients, found
    clients.close()


def unpropagated(seen):
    """Without the header that a client adds for a current span: the step that hides ours from it may be the broken one."""
    result, said, asked = seen
    kept = [replace(each, headers=tuple(pair for pair in each.headers if pair[0] != "traceparent")) for each in asked]
    return result, said, kept


@pytest.mark.parametrize("step", steps())
def test_a_fault_of_ours_is_counted_and_not_felt(server, bare, monkeypatch, step):
    clients, found = bare
    module_name, _, name = step.rpartition(".")
    owner = importlib.import_module(module_name) if module_name in MODULES else None
    if owner is None:
        module_name, _, class_name = module_name.rpartition(".")
        owner = getattr(importlib.import_module(module_name), class_name)
    called = []

    def broken(*args, **kwargs):
        called.append(step)
        raise RuntimeError("injected")

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, "SPAN_ONLY")
    instrument(tracer_provider=provider)
    try:
        monkeypatch.setattr(owner, name, broken)
        for case, seen in found:
            before = sum(faults.counts().values())
            called.clear()
            with record() as run:
                assert unpropagated(outcome(case, server, clients)) == seen, case.name
                assert len(run.records) <= 1
                assert not run.recording._run.open_calls or step.startswith("tracediff.capture.recorder"), case.name
            if called:
                assert sum(faults.counts().values()) > before, case.name
    finally:
        monkeypatch.undo()
        uninstrument()
