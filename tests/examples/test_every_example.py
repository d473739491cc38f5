"""Every example, in plain Python and in frameworks, in the simulated world and without training."""

import ast
import functools
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("openai")
pytest.importorskip("bm25s")
pytest.importorskip("libcst")
if shutil.which("git") is None:
    pytest.skip("git is not installed", allow_module_level=True)

from tests.examples.edges import DECORATED, LANGCHAIN, LLAMA_INDEX, PLAIN  # noqa: E402
from tests.examples.trial import N, load  # noqa: E402

ROOT = pathlib.Path(__file__).parents[2]
DATA = pathlib.Path(os.environ.get("TRACEDIFF_DATA", ROOT.parent / "shared" / "data"))
UNDECORATED = {**PLAIN, **LANGCHAIN, **LLAMA_INDEX}
EDGES = {**DECORATED, **UNDECORATED}
PACKAGES = {**dict.fromkeys(LANGCHAIN, "langchain_openai"), **dict.fromkeys(LLAMA_INDEX, "llama_index")}


def case(name):
    package = PACKAGES.get(name, "openai")
    is_absent = importlib.util.find_spec(package) is None
    return pytest.param(name, marks=pytest.mark.skipif(is_absent, reason=f"{package} is not installed"))


NAMES = [case(name) for name in EDGES]


@functools.cache
def tried(name):
    paths = [str(ROOT), str(ROOT / "integrations"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    line = [sys.executable, "-m", "tests.examples.trial", name]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", list(UNDECORATED))
def test_the_file_imports_nothing_of_tracediff(name):
    tree = ast.parse((ROOT / "examples" / f"{name}.py").read_text())
    imported = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    imported += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imported and not [module for module in imported if module.startswith("tracediff")]


@pytest.mark.parametrize("name", NAMES)
def test_with_every_skill_in_its_prompts_it_is_right_and_nothing_stays(name):
    found = tried(name)
    assert 0 < sum(found["plain"]) < N - 4
    assert sum(found["told"]) >= N - 1
    assert list(found["counts"]) == ([] if name in DECORATED else ["replaced"])
    assert found["again"] == found["plain"]


@pytest.mark.parametrize("name", NAMES)
def test_its_graph_has_the_edges_that_its_code_has(name):
    found = tried(name)
    assert {*found["edges"], f"output {found['output']}"} == set(EDGES[name].split("\n")) - {""}


@pytest.mark.parametrize("name", NAMES)
def test_its_patch_applies_and_sends_the_very_bytes_of_the_candidate(name):
    sent = tried(name)["requests"]
    assert sent["candidate"] and sent["patched"] == sent["candidate"]


def test_a_corpus_that_is_not_named_is_asked_for(monkeypatch):
    monkeypatch.delenv("TRACEDIFF_EXAMPLE_CORPUS", raising=False)
    with pytest.raises(SystemExit, match=r"TRACEDIFF_EXAMPLE_CORPUS is not set.*tracediff\.simulate --write"):
        load("vanilla_rag").program("What is the x of Y?")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (None, "No such file"),
        ("x", "Expecting value"),
        ('{"a": 1}', "expected a JSON list"),
        ("[]", "expected a JSON list"),
        ('[{"question": "?"}]', "expected a JSON list"),
    ],
)
def test_a_corpus_that_can_not_be_read_is_named(monkeypatch, tmp_path, written, said):
    path = tmp_path / "paragraphs.json"
    if written is not None:
        path.write_text(written)
    monkeypatch.setenv("TRACEDIFF_EXAMPLE_CORPUS", str(path))
    with pytest.raises(SystemExit, match=f"(?s)paragraphs.json, which can't be used: .*{said}"):
        load("vanilla_rag").program("What is the x of Y?")


@pytest.mark.parametrize("name", NAMES)
def test_without_a_question_its_usage_is_shown(name):
    path = ROOT / "examples" / f"{name}.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, path], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"python examples/{name}.py " in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(not (DATA / "trec").exists(), reason="set TRACEDIFF_DATA to the folder with trec/TREC_10.label")
def test_the_published_questions_are_read():
    module = load("trec")
    samples = module.load(DATA / "trec" / "TREC_10.label")
    assert len(samples) == 500 and {s["answer"] for s in samples} <= set(module.LABELS)
    assert all(s["question"].endswith("?") for s in samples[:50])
    assert len(module.load(DATA / "trec" / "train_5500.label")) == 5452
