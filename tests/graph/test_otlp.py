"""Offline equals live: exported spans give the graph of the process, in any order, runs mixed; what is cut is said."""

import copy
import json
import random

import pytest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.graph.otlp_json import document
from tracediff import attributes as keys
from tracediff.capture import begin, functional_node, spans, trainable_prompt
from tracediff.capture.context import current_scope
from tracediff.errors import DataError
from tracediff.graph import ParameterGraph, link, unlink
from tracediff.graph.otlp import run_in
from tracediff.graph.runs import record, score, trace

CANARY = "xylophone"


class Export:
    """A provider of the test's own, and what it has exported."""

    def __init__(self, limits=None):
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(span_limits=limits)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        spans.use_provider(provider)

    @property
    def spans(self):
        return list(self.exporter.get_finished_spans())

    def document(self, order=None):
        found = self.spans
        if order is not None:
            random.Random(order).shuffle(found)
        return document(found)


@pytest.fixture
def export():
    yield Export
    spans.use_provider(None)


@pytest.fixture
def with_content(monkeypatch):
    monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, "SPAN_ONLY")


@pytest.fixture
def without_content(monkeypatch):
    monkeypatch.delenv(keys.CAPTURE_CONTENT_VARIABLE, raising=False)


@trainable_prompt(name="otlp.task")
def task():
    return "You count xylophones and other instruments, and nothing else."


@trainable_prompt(name="app.ask")
def ask(question: str, docs: list[str]):
    return f"Read these pages: {docs}\nThen answer the question: {question}"


@functional_node(name="app.retrieve", kind="retriever")
def retrieve(query):
    return [f"a page that tells about {query} and barns", "the xylophone stands beside seven pianos"]


@functional_node(name="app.model", kind="llm")
def model(system, prompt):
    return f"there are {len(prompt)} instruments: one xylophone and {len(system)} pianos"


@functional_node(name="app.tidy")
def tidy(text):
    return {"answer": text.strip().upper(), "note": ["as the xylophone model said", {CANARY: text}]}


@functional_node(name="app.fail")
def fail(found):
    raise ValueError(f"no xylophone in {found!r}")


@functional_node(name="app.words")
def words(text):
    yield from text.split()


@functional_node(name="app.program")
def program(question):
    docs = retrieve(question)
    answer = model(task(), ask(question, docs))
    found = tidy(answer)
    list(words(found["answer"]))
    try:
        fail(found)
    except ValueError as error:
        return f"{found['answer']} ({error})"


@pytest.mark.parametrize("order", [None, 1, 2, 3])
def test_an_export_gives_the_graph_of_the_process(export, with_content, order):
    out = export()
    result, run = trace(program, "how many xylophones are there in the barn?")
    live = run.graph()
    assert live.edges
    assert ParameterGraph.from_otlp(out.document(order)).to_json() == live.to_json()


def test_runs_that_are_mixed_are_told_apart(export, with_content):
    out = export()
    runs = []
    for number in range(3):
        with record(sample_id=f"s{number}") as run:
            run.set_output({"final": program(f"question number {number} about xylophones")})
        score(run, number / 4, feedback="a xylophone too many")
        runs.append(run)
    for order in range(3):
        found = out.document(order)
        for number, run in enumerate(runs):
            again = ParameterGraph.from_otlp(found, run_id=run.run_id)
            assert again.to_json() == run.graph().to_json()
            assert again.sample_id == f"s{number}"
    with pytest.raises(DataError) as raised:
        ParameterGraph.from_otlp(found)
    assert all(run.run_id in str(raised.value) for run in runs)
    with pytest.raises(DataError, match="none is nobody"):
        ParameterGraph.from_otlp(found, run_id="nobody")


def test_a_file_of_lines_is_read_as_the_collector_writes_it(export, with_content, tmp_path):
    out = export()
    with record() as run:
        program("how many?")
    lines = [json.dumps({"resourceLogs": []}), *(json.dumps(document([span])) for span in reversed(out.spans)), ""]
    path = tmp_path / "spans.jsonl"
    path.write_text("\n".join(lines))
    assert ParameterGraph.from_otlp(path).to_json() == run.graph().to_json()
    whole = tmp_path / "spans.json"
    whole.write_text(json.dumps(out.document()))
    assert ParameterGraph.from_otlp(str(whole)).to_json() == run.graph().to_json()


def test_scores_come_back_whenever_they_were_given(export, with_content):
    out = export()
    with record() as run:
        program("how many?")
        score(run, 0.25, feedback="inside", name="early")
    score(run, 0.5, feedback="after", name="late")
    assert [(name, found.value, found.feedback) for name, found in run_in(out.document()).file().scores] == [
        ("early", 0.25, "inside"),
        ("late", 0.5, "after"),
    ]


def test_an_output_said_after_the_end_counts(export, with_content):
    out = export()
    with record() as run:
        program("how many?")
    run.set_output("something of 3 words")
    for order in range(4):
        assert ParameterGraph.from_otlp(out.document(order)).to_json() == run.graph().to_json()


def test_stated_links_travel_with_the_run(export, with_content):
    out = export()
    link("otlp.task", "app.tidy.text", kind="skip")
    try:
        with record() as run:
            program("how many?")
        live = run.graph()
    finally:
        unlink("otlp.task", "app.tidy.text")
    assert any(edge.kind == "skip" for edge in live.edges)
    assert ParameterGraph.from_otlp(out.document()).to_json() == live.to_json()


def test_a_run_that_fails_is_the_same_graph(export, with_content):
    out = export()
    with pytest.raises(ValueError, match="xylophone"), record() as run:
        fail(retrieve("x"))
    assert ParameterGraph.from_otlp(out.document(1)).to_json() == run.graph().to_json()
    assert run_in(out.document()).file().error == run.error


def test_texts_that_utf8_can_not_hold_come_back(export, with_content):
    out = export()
    with record(sample_id="\udcff") as run:
        begin("app.odd", "retriever", {"query": "\ud800 query", "big": 2**80, "nan": float("nan")}).end("\udfff out")
        run.set_output({"\udfff": 1})
    json.dumps(out.document(), ensure_ascii=False).encode()
    assert ParameterGraph.from_otlp(out.document()).to_json() == run.graph().to_json()


def test_what_calls_alone_export_is_the_graph_of_their_run(export, with_content):
    """Production: decorated functions and a provider, nobody records."""
    out = export()
    seen = []

    @functional_node(name="app.handler")
    def handler(question):
        recording = current_scope().recording
        seen.extend((recording.run_id, recording._ended))  # a run that nobody recorded lets go of them at its end
        return program(question)

    answer = handler("how many xylophones?")
    run_id, ended = seen
    graph = ParameterGraph.from_otlp(out.document(5))
    assert graph.result == answer
    live = ParameterGraph.from_records([call.record() for call in ended], output=answer, run_id=run_id)
    assert graph.to_json() == live.to_json()


# Content off


def test_no_text_leaves_and_the_structure_comes_back(export, without_content):
    out = export()
    with record(sample_id=f"id of {CANARY}") as run:
        answer = program(f"how many {CANARY}s are there?")
        begin("app.keyed", "function", {"table": {CANARY: answer}, "also": {"x": {CANARY: [answer]}}}).end()
        run.set_output({CANARY: answer})
    score(run, 0.5, feedback=f"a {CANARY} too many")
    assert CANARY not in json.dumps(out.document()).lower()
    live, graph = run.graph(), ParameterGraph.from_otlp(out.document(4))

    def structure(graph):
        said = graph.to_json()
        nodes = [
            {key: node[key] for key in node if key not in ("inputs", "output", "description", "error")}
            for node in said["nodes"]
        ]
        edges = [{key: edge[key] for key in edge if key != "detail"} for edge in said["edges"]]
        return nodes, edges, said["output"], said["run_id"], [item["name"] for item in said["parameters"]]

    assert structure(graph) == structure(live)
    assert graph.edges
    assert all(node.output is None and not node.inputs for node in graph.nodes)
    assert any("content" in note for note in graph.notes)


def test_without_content_and_recording_the_identity_edges_are_known(export, without_content):
    out = export()

    @functional_node(name="app.handler")
    def handler(question):
        docs = retrieve(question)
        return model("a system text", docs[1])

    handler("how many xylophones?")
    assert CANARY not in json.dumps(out.document()).lower()
    graph = ParameterGraph.from_otlp(out.document(2))
    found = {(edge.source.name, edge.target.name, edge.argument) for edge in graph.edges}
    assert ("app.retrieve", "app.model", "prompt") in found
    assert "app.model" in {node.name for node in (graph.output, *graph.ancestors(graph.output))}
    assert any("tracediff.record" in note for note in graph.notes)


def test_a_very_long_run_is_not_inferred_in_the_program_s_time(export, without_content, monkeypatch):
    monkeypatch.setattr("tracediff.graph.structure.MAX_INFERRED", 3)
    out = export()
    with record():
        docs = retrieve("how many xylophones?")
        for _ in range(3):
            tidy(docs[1])
    graph = ParameterGraph.from_otlp(out.document(2))
    found = [(edge.source.label, edge.target.label, edge.evidence) for edge in graph.edges]
    assert ("app.retrieve#0", "app.tidy#0", "identity") in found
    assert ("app.tidy#0", "app.tidy#1", "identity") in found  # which put the same text out again
    assert any("1000 calls" in note for note in graph.notes)


def test_the_run_s_span_is_around_everything(export, without_content):
    out = export()
    _, run = trace(program, "how many?")
    outermost = [span for span in out.spans if span.parent is None]
    (span,) = outermost
    assert span.name == "invoke_workflow program"
    assert span.attributes[keys.OPERATION_NAME] == "invoke_workflow"
    assert {span.context.trace_id for span in out.spans} == {span.context.trace_id}
    assert span.end_time >= max(span.end_time for span in out.spans)


def test_every_reference_stands_in_an_attribute_and_in_a_link(export, with_content):
    out = export()
    with record() as run:
        program("how many?")
    by_id = {f"{span.context.span_id:016x}": span for span in out.spans}
    for made in run.records:
        span = by_id[made.id]
        assert len(span.attributes) < 40
        said = json.loads(span.attributes[keys.REFS])
        assert [item[:2] for item in said] == [[ref.path, ref.source] for ref in made.refs]
        assert [f"{link.context.span_id:016x}" for link in span.links] == [ref.source for ref in made.refs]


# What did not arrive


@pytest.mark.parametrize("length", [10, 60, 200, 600])
@pytest.mark.parametrize("content", [True, False])
def test_a_length_limit_that_cut_values_is_said(export, monkeypatch, length, content):
    monkeypatch.setenv(keys.CAPTURE_CONTENT_VARIABLE, "SPAN_ONLY" if content else "NO_CONTENT")
    out = export(SpanLimits(max_span_attribute_length=length))
    if length > 32:
        with record():
            program("how many?")
        graph = ParameterGraph.from_otlp(out.document())
        assert any("limit" in note for note in graph.notes)
        assert {node.name for node in graph.nodes} >= {"app.retrieve", "app.model", "otlp.task"}
    else:  # the very ids are cut
        with record():
            program("how many?")
        ParameterGraph.from_otlp(out.document())


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_a_limit_on_the_number_of_attributes_is_said_or_does_no_harm(export, with_content, count):
    out = export(SpanLimits(max_span_attributes=count))
    with record() as run:
        program("how many?")
    try:
        graph = ParameterGraph.from_otlp(out.document())
    except DataError:
        assert count == 1
        return
    assert graph.to_json() == run.graph().to_json() or any("limit" in note for note in graph.notes)


def test_spans_that_are_missing_are_counted(export, with_content):
    out = export()
    with record():
        program("how many?")
    found = [span for span in out.spans if "model" not in span.name]
    assert any("1 calls" in note for note in ParameterGraph.from_otlp(document(found)).notes)
    rest = [span for span in out.spans if span.parent is not None]
    assert any("outermost" in note for note in ParameterGraph.from_otlp(document(rest)).notes)


@pytest.mark.parametrize(
    "broken",
    [{}, {"spans": []}, {"resourceSpans": [7]}, {"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": "zz"}]}]}]}],
)
def test_what_is_no_otlp_is_refused(broken):
    with pytest.raises(DataError):
        ParameterGraph.from_otlp(broken)


def test_files_that_are_no_otlp_are_refused(tmp_path):
    path = tmp_path / "spans.json"
    with pytest.raises(DataError, match="spans.json"):
        ParameterGraph.from_otlp(path)
    path.write_text('{"resourceSpans": []}\n{"resourceSpans"')
    with pytest.raises(DataError, match="spans.json:2"):
        ParameterGraph.from_otlp(path)
    path.write_text('{"resourceSpans": []}')
    with pytest.raises(DataError, match="no runs"):
        ParameterGraph.from_otlp(path)


def test_attributes_of_any_type_never_crash_the_reader(export, with_content):
    out = export()
    with record():
        program("how many?")
    whole = out.document()
    draw = random.Random(7)
    odd = [
        {},
        {"stringValue": "["},
        {"stringValue": "{}"},
        {"intValue": "7"},
        {"arrayValue": {}},
        {"kvlistValue": None},
        {"boolValue": True},
    ]
    for _ in range(150):
        found = copy.deepcopy(whole)
        for resource in found["resourceSpans"]:
            for span in resource["scopeSpans"][0]["spans"]:
                if draw.random() < 0.4:
                    draw.choice(span["attributes"])["value"] = draw.choice(odd)
        try:
            ParameterGraph.from_otlp(found).to_json()
        except DataError:
            pass
