"""From an undecorated program to trained prompts, as a user does it. Figures are the simulation's."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("openai")

from tracediff import discover
from tracediff.errors import DataError
from tracediff.simulate import Server, World, counting_samples

ROOT = pathlib.Path(__file__).parents[2]
COUNTING = ROOT / "tests" / "discover" / "plain" / "counting.py"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counting")
    rows = counting_samples(3, 60)
    for name, part in (("train", rows[:25]), ("val", rows[25:45]), ("test", rows[45:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    with Server(World(3)) as server:
        paths = f"{ROOT}{os.pathsep}{ROOT / 'integrations'}"
        env = {**os.environ, "PYTHONPATH": paths, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "k"}
        env.pop("TRACEDIFF_PROMPTS", None)

        def call(*args):
            line = [sys.executable, "-c", "from tracediff.cli import main; main()", *map(str, args)]
            return subprocess.run(line, capture_output=True, text=True, cwd=folder, env=env, timeout=100, check=False)

        call.folder = folder
        yield call


def test_an_undecorated_program_is_discovered_and_trained(run):
    done = run("discover", f"{COUNTING}:program", "--samples", "train.jsonl")
    assert done.returncode == 0, done.stderr
    (entry,) = discover.load(run.folder / "parameters.json").parameters
    assert (entry.name, entry.status, entry.line) == ("counting.TASK", "trainable", 9)

    again = run("discover", f"{COUNTING}:program", "--samples", "train.jsonl")
    assert again.returncode == 2
    assert "--force" in again.stderr
    listed = run("params", "parameters.json")
    assert "counting.TASK [trainable]" in listed.stdout

    files = ("--train", "train.jsonl", "--val", "val.jsonl", "--test", "test.jsonl")
    engines = ("--critic", "openai:sim-critic", "--proposer", "openai:sim-optimizer")
    metric = ("--metric", f"{COUNTING}:metric")
    trained = run(
        "optimize", f"{COUNTING}:program", "--parameters", "parameters.json", *files, *metric, *engines,
        "--run-dir", "run", "--json",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    outcome = json.loads(trained.stdout)
    assert outcome["improved"]
    assert outcome["val"] > outcome["start"]["val"]
    assert list(outcome["prompts"]) == ["counting.TASK"]

    score = ("eval", f"{COUNTING}:program", "--data", "val.jsonl", *metric, "--prompts", "run/prompts.json", "--json")
    with_file = json.loads(run(*score, "--parameters", "parameters.json").stdout)["mean"]
    assert with_file == pytest.approx(outcome["val"])


def test_without_a_trainable_entry_there_is_nothing_to_train(run):
    run("discover", f"{COUNTING}:program", "--samples", "train.jsonl", "--out", "frozen.json")
    path = run.folder / "frozen.json"
    path.write_text(path.read_text().replace('"trainable"', '"frozen"'))
    done = run(
        "optimize", f"{COUNTING}:program", "--parameters", "frozen.json", "--train", "train.jsonl", "--val", "val.jsonl",
        "--metric", f"{COUNTING}:metric", "--critic", "openai:sim-critic", "--run-dir", "none",
    )  # fmt: skip
    assert done.returncode == 2
    assert "parameters" in done.stderr


FIELDS = {"name": "a.b", "text": "Some words here.", "status": "trainable", "variables": []}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text": "Other words here."}, "was edited"),
        ({"status": "maybe"}, "status"),
        ({"name": ""}, "name"),
        ({"variables": "x"}, "variables"),
        ({"line": "3"}, "line"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named(tmp_path, change, words):
    from tracediff.parameters import text_hash

    entry = {**FIELDS, "text_hash": text_hash(FIELDS["text"]), **change}
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"tracediff_parameters": 1, "parameters": [entry]}))
    with pytest.raises(DataError, match=words):
        discover.load(path)


def test_a_file_keeps_every_text_exactly(tmp_path):
    texts = ["One line.", "Two\r\nlines {x}\n", 'é\u2028\tx \\ " end', "a\n\n\nb"]
    kept = tuple(discover.Discovered(f"n{k}", text, ("x",) if "{x}" in text else ()) for k, text in enumerate(texts))
    discover.save(tmp_path / "p.json", discover.ParameterFile("app:f", kept))
    assert discover.load(tmp_path / "p.json").parameters == kept
