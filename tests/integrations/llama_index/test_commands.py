"""From a query engine to its trained prompt in its own source, as a user does it on the command line."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.integrations.llama_index.conftest import PROGRAMS
from tracediff import discover

ROOT = pathlib.Path(__file__).parents[3]
METRIC = """
def metric(prediction, sample):
    return float(prediction == sample["answer"])
"""
SAMPLES = [
    {"question": f"What is said of the {river} in {year}?", "answer": f"Floods on the {river}."}
    for river in ("Danube", "Rhine")
    for year in range(1801, 1809)
]


def answered(system, said, body):
    """A solver that is right where its prompt asks for floods, and who looks at it and writes it anew."""
    if body["model"] == "critic":
        of = "output" if 'kind="loss"' in said else "p1"
        return json.dumps({"feedback": {of: "It should speak of floods."}, "no_cause": False})
    if body["model"] == "proposer":
        schema = body["response_format"]["json_schema"]["schema"]
        method = schema["properties"]["method"]["enum"][0]
        text = "Speak of floods alone, from these passages:\n{context_str}\nThe question was: {query_str}"
        return json.dumps({"method": method, "reasoning": "floods are wanted", "text": text})
    river = "Danube" if "Danube" in said else "Rhine"
    return f"Floods on the {river}." if "floods" in said else "Something else."


@pytest.fixture
def command(world, tmp_path):
    """Return a function: what tracediff's command line did in a folder with the program, its metric and samples."""
    pytest.importorskip("typer")
    shutil.copy(PROGRAMS / "rag.py", tmp_path / "li_shop.py")
    (tmp_path / "li_metric.py").write_text(METRIC)
    for name, part in (("train", SAMPLES[::2]), ("val", SAMPLES[1::2])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    paths = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "integrations")])
    world.reply = answered
    env = {**os.environ, "PYTHONPATH": paths, "OPENAI_BASE_URL": world.base_url, "OPENAI_API_KEY": "k"}
    env["OPENAI_API_BASE"] = world.base_url

    def run(*args):
        line = [sys.executable, "-c", "from tracediff.cli import main; main()", *args]
        return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=300, check=False)

    return run


def test_a_query_engine_is_discovered_trained_and_patched(command, world, tmp_path):
    pytest.importorskip("libcst")
    found = command("discover", "li_shop:program", "--samples", "train.jsonl")
    assert found.returncode == 0, found.stderr
    kept = discover.load(tmp_path / "parameters.json")
    (entry,) = [entry for entry in kept.parameters if entry.variables]
    assert (entry.name, entry.status, entry.variables) == ("li_shop.PROMPT", "trainable", ("context_str", "query_str"))
    # The shelf's passages stand in the program's source too: a person deletes their entries.
    discover.save(tmp_path / "parameters.json", dataclasses.replace(kept, parameters=(entry,)))

    files = ("--parameters", "parameters.json", "--train", "train.jsonl", "--val", "val.jsonl")
    engines = ("--critic", "openai:critic", "--proposer", "openai:proposer", "--metric", "li_metric:metric")
    trained = command("optimize", "li_shop:program", *files, *engines, "--run-dir", "run", "--steps", "2", "--json")
    assert trained.returncode == 0, trained.stderr
    outcome = json.loads(trained.stdout)
    assert (outcome["start"]["val"], outcome["val"]) == (0, 1)

    patch = command("diff", "run", "--patch")
    assert patch.returncode == 0, patch.stderr
    subprocess.run(["git", "apply", "-"], input=patch.stdout.encode(), check=True, cwd=tmp_path)
    told = command("eval", "li_shop:program", "--data", "val.jsonl", "--metric", "li_metric:metric", "--json")
    assert json.loads(told.stdout)["mean"] == 1, told.stderr
    assert "Speak of floods alone" in (tmp_path / "li_shop.py").read_text()
