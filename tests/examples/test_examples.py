"""The example programs, on the simulated server and on the real files where these are there."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("openai")
pytest.importorskip("bm25s")

import tracediff as td  # noqa: E402
from tracediff.simulate import Server, Settings, World, counting_samples, two_hop_samples  # noqa: E402

ROOT = pathlib.Path(__file__).parents[2]
DATA = pathlib.Path(os.environ.get("TRACEDIFF_DATA", ROOT.parent / "shared" / "data"))
SEED = 5


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def world():
    return World(SEED, Settings(solver_noise=0.0))


@pytest.fixture
def server(world, monkeypatch):
    with Server(world) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "simulated")
        monkeypatch.setenv("TRACEDIFF_EXAMPLE_MODEL", "sim-solver")
        td.instrument("openai")
        yield running
        td.uninstrument("openai")


@pytest.fixture
def counting():
    module = load("object_counting")
    yield module
    if module.client.cache_info().currsize:
        module.client().close()


@pytest.fixture
def hopping():
    module = load("multi_hop")
    yield module
    if module.client.cache_info().currsize:
        module.client().close()


def accuracy(program, metric, samples):
    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(lambda s: td.Score.of(metric(program(s["question"]), s)).value, samples)) / len(samples)


def with_skills(world, *prompts):
    """The texts that express every skill, for each of the program's prompts, by parameter name."""
    graph_parameters = {}
    for run in prompts:
        for record in run.records:
            if record.parameter is not None:
                graph_parameters[record.parameter.name] = world.with_all_skills(record.parameter.text)
    return graph_parameters


def test_object_counting_runs_on_the_simulated_server(server, world, counting):
    samples = counting_samples(SEED, 40)
    assert 0 < accuracy(counting.program, counting.metric, samples) < 0.6
    _, run = td.trace(counting.program, samples[0]["question"])
    with td.using(with_skills(world, run)):
        assert all(counting.metric(counting.program(s["question"]), s) == 1 for s in samples[:10])


def test_multi_hop_runs_on_the_simulated_server(server, world, hopping):
    paragraphs = two_hop_samples(SEED, 40)
    program = hopping.MultiHop(paragraphs.corpus)
    assert 0 <= accuracy(program, hopping.metric, paragraphs.samples) < 0.6
    result, run = td.trace(program, paragraphs.samples[0]["question"])
    assert isinstance(result, str)
    assert [e.role for e in server.log[-3:]] == ["solver"] * 3
    with td.using(with_skills(world, run)):
        right = [hopping.metric(program(s["question"]), s).value for s in paragraphs.samples[:20]]
    assert sum(right) >= 18


def test_object_counting_graph(server, counting):
    _, run = td.trace(counting.program, counting_samples(SEED, 1)[0]["question"])
    graph = run.graph()
    assert [(n.name, n.kind) for n in graph.nodes if n.kind != "output"] == [
        ("object_counting.task", "prompt"),
        ("object_counting.program:chat", "llm"),
        ("object_counting.last_number", "function"),
    ]
    assert {(e.source.label, e.target.label) for e in graph.edges} == {
        ("object_counting.task#0", "object_counting.program:chat#0"),
        ("object_counting.program:chat#0", "object_counting.last_number#0"),
    }
    assert graph.output.name == "object_counting.last_number"


def test_multi_hop_graph_has_both_hops_and_no_edge_too_many(server, hopping):
    paragraphs = two_hop_samples(SEED, 12)
    program = hopping.MultiHop(paragraphs.corpus)
    sample = next(s for s in paragraphs.samples if hopping.metric(program(s["question"]), s).value == 1)
    _, run = td.trace(program, sample["question"])
    graph = run.graph()
    edges = {tuple(n.label.replace("multi_hop.", "") for n in (e.source, e.target)) for e in graph.edges}
    assert edges == {
        ("query_prompt#0", "ask:chat#0"),
        ("ask:chat#0", "MultiHop.retrieve#0"),
        ("MultiHop.retrieve#0", "query_prompt#1"),
        ("MultiHop.retrieve#0", "deduplicate#0"),
        ("query_prompt#1", "ask:chat#1"),
        ("ask:chat#1", "MultiHop.retrieve#1"),
        ("MultiHop.retrieve#1", "deduplicate#0"),
        ("deduplicate#0", "answer_prompt#0"),
        ("answer_prompt#0", "ask:chat#2"),
        ("answer_task#0", "ask:chat#2"),
        ("ask:chat#2", "last_line#0"),
    }


def test_a_wrong_query_really_retrieves_other_paragraphs(hopping):
    paragraphs = two_hop_samples(SEED, 1)
    program = hopping.MultiHop(paragraphs.corpus)
    first, _, entity = hopping_parts(paragraphs.samples[0]["question"])
    right = program.retrieve(f"The {first} of {entity}")
    assert f"The {first} of {entity} is" in right[0]
    other = next(p for p in paragraphs.corpus if f" of {entity} is " in p and f"The {first} " not in p)
    relation = other.partition(" The ")[2].split()[0]
    assert program.retrieve(f"The {relation} of {entity}") != right


def hopping_parts(question):
    words = question.rstrip("?").split()
    return words[6], words[3], words[8]


def test_metric_gives_words_and_f1_gives_parts(hopping):
    assert hopping.metric("the Paris!", {"answer": "Paris"}).value == 1
    assert "'Rome'" in hopping.metric("Rome", {"answer": "Paris"}).feedback
    assert hopping.f1("Paris France", {"answer": "Paris"}) == pytest.approx(2 / 3)
    assert hopping.f1("Rome", {"answer": "Paris"}) == 0


def test_loaders_read_what_the_simulation_writes(tmp_path, counting, hopping):
    done = subprocess.run(
        [sys.executable, "-m", "tracediff.simulate", "--seed", "5", "--write", str(tmp_path)], cwd=ROOT, check=True
    )
    assert done.returncode == 0
    assert len(counting.load(tmp_path / "object_counting.train.jsonl")) == 50
    assert len(hopping.load(tmp_path / "multi_hop.test.jsonl")) == 100
    assert len(hopping.load_corpus(tmp_path / "corpus.json")) > 300


def needs(path):
    return pytest.mark.skipif(
        not path.exists(), reason=f"{path.name} is not here; set TRACEDIFF_DATA to the folder with it"
    )


BBH = DATA / "bbh" / "object_counting.json"
HOTPOT = DATA / "hotpotqa" / "hotpotqa_distractor_merged.json"


@needs(BBH)
def test_the_real_counting_file(counting):
    samples = counting.load(BBH)
    assert len(samples) == 250 and len({s["id"] for s in samples}) == 250
    assert all(s["answer"].isdigit() and "How many" in s["question"] for s in samples)


@needs(HOTPOT)
def test_the_real_paragraphs_and_retrieval_over_them(hopping):
    samples = hopping.load(HOTPOT)
    corpus = hopping.load_corpus(HOTPOT)
    gold = {entry["question"]: entry["gold_titles"] for entry in json.loads(HOTPOT.read_text())}
    assert len(samples) == 300 and len(corpus) > 2000
    program = hopping.MultiHop(corpus)
    found = [
        any(p.startswith(f"{t}: ") for p in program.retrieve(s["question"]) for t in gold[s["question"]])
        for s in samples
    ]
    assert sum(found) > 200, "the question itself finds a gold paragraph in most cases"
