"""The command line as a user meets it: exit codes, clear words, files that are whole. Figures are the simulation's."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("openai")

from tracediff.simulate import Server, Settings, World, counting_samples

ROOT = pathlib.Path(__file__).parents[1]
COUNTING = str(ROOT / "examples" / "object_counting.py")
ENV = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'integrations'}", "COLUMNS": "200", "NO_COLOR": "1"}
for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "TRACEDIFF_PROMPTS"):
    ENV.pop(name, None)


def command(*args):
    return [
        sys.executable,
        "-W",
        "error::RuntimeWarning",
        "-c",
        "from tracediff.cli import main; main()",
        *map(str, args),
    ]


def run(*args, cwd, env=ENV):
    return subprocess.run(command(*args), capture_output=True, text=True, cwd=cwd, env=env, timeout=100, check=False)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    rows = counting_samples(3, 60)
    for name, part in (("train", rows[:25]), ("val", rows[25:45]), ("test", rows[45:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return folder


@pytest.fixture(scope="module")
def server():
    with Server(World(3)) as running:
        yield running


@pytest.fixture(scope="module")
def env(server):
    return {**ENV, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "k", "TRACEDIFF_EXAMPLE_MODEL": "sim-solver"}


def optimize(samples, run_dir, *more, program=f"{COUNTING}:program", metric=f"{COUNTING}:metric"):
    files = ("--train", samples / "train.jsonl", "--val", samples / "val.jsonl")
    engines = ("--critic", "openai:sim-critic", "--proposer", "openai:sim-optimizer")
    return ("optimize", program, *files, "--metric", metric, *engines, "--run-dir", run_dir, *more)


def test_optimize_then_diff_then_eval(samples, env, tmp_path):
    done = run(*optimize(samples, tmp_path / "run", "--json", "--test", samples / "test.jsonl"), cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["improved"]
    assert outcome["val"] > outcome["start"]["val"]
    assert outcome["calls"]["backward"] > 0
    assert oct((tmp_path / "run").stat().st_mode & 0o777) == "0o700"

    shown = run("diff", tmp_path / "run", cwd=tmp_path)
    assert shown.returncode == 0
    assert "(before)" in shown.stdout
    added = [line[1:] for line in shown.stdout.splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert added
    assert all(any(line in text for text in outcome["prompts"].values()) for line in added)

    scored = run(
        "eval", f"{COUNTING}:program", "--data", samples / "val.jsonl", "--metric", f"{COUNTING}:metric",
        "--prompts", tmp_path / "run" / "prompts.json", "--json", cwd=tmp_path, env=env,
    )  # fmt: skip
    assert json.loads(scored.stdout)["mean"] == pytest.approx(outcome["val"])

    told = run("report", tmp_path / "run", "--html", "why.html", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    page = (tmp_path / "why.html").read_text()
    assert "Simulated" in page
    assert "Kept" in page
    assert f"{outcome['val']:.3f}" in page

    again = run(*optimize(samples, tmp_path / "run"), cwd=tmp_path, env=env)
    assert again.returncode == 1
    assert str(tmp_path / "run") in again.stderr


def test_the_environment_puts_prompts_into_a_program(samples, env, tmp_path):
    from tracediff.parameters import Parameter
    from tracediff.store import save_prompts

    path = tmp_path / "prompts.json"
    code = "from object_counting import task; print(task())"
    env = {**env, "PYTHONPATH": env["PYTHONPATH"] + os.pathsep + str(ROOT / "examples"), "TRACEDIFF_PROMPTS": str(path)}
    plain = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**env, "TRACEDIFF_PROMPTS": ""}, check=True
    ).stdout.rstrip("\n")
    save_prompts(path, {"object_counting.task": "Trained."}, [Parameter("object_counting.task", plain)])
    trained = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert trained.stdout == "Trained.\n"
    save_prompts(path, {"object_counting.task": "Trained."}, [Parameter("object_counting.task", "An older text.")])
    kept = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert kept.stdout.rstrip("\n") == plain
    assert "An older text." in kept.stderr


def test_no_improvement_is_code_3(samples, env, tmp_path):
    with Server(World(3, Settings(useless=1.0, harmful=0.0))) as server:
        env = {**env, "OPENAI_BASE_URL": server.base_url}
        done = run(*optimize(samples, tmp_path / "run", "--steps", 1), cwd=tmp_path, env=env)
    assert done.returncode == 3, done.stderr
    assert "no prompt was changed" in done.stdout


def test_a_budget_is_code_4_and_leaves_the_best_prompts(samples, env, tmp_path):
    done = run(*optimize(samples, tmp_path / "run", "--max-calls", 30), cwd=tmp_path, env=env)
    assert done.returncode == 4, done.stderr
    assert (tmp_path / "run" / "prompts.json").exists()


APP = """
    import tracediff as td

    @td.trainable_prompt
    def task():
        return "Count."

    def no_prompt(question): return "1"
    def good(question): return task() and "1"
    def bad_metric(prediction, sample): return float("nan")
    def raising(prediction, sample): raise KeyError("gold")
    def metric(prediction, sample): return 0.5
"""


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"program": "app:absent"}, 2, ["app has no 'absent'", "no_prompt"]),
        ({"program": "nowhere:good"}, 2, ["no module 'nowhere'"]),
        ({"program": "app"}, 2, ["MODULE:NAME"]),
        ({"program": "app:no_prompt"}, 2, ["trainable_prompt"]),
        ({"metric": "app:bad_metric"}, 2, ["bad_metric", "nan", "sample"]),
        ({"metric": "app:raising"}, 2, ["raising", "KeyError", "sample"]),
        ({"--train": "absent.jsonl"}, 2, ["absent.jsonl"]),
        ({"--train": "broken.jsonl"}, 2, ["broken.jsonl:2"]),
        ({"--train": "other.jsonl"}, 2, ["question", "other.jsonl:1"]),
        ({"--critic": "nobody:x"}, 2, ["nobody", "openai:"]),
        ({"--critic": "openai:absent-model"}, 1, ["absent-model"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input_is_named(change, code, words, samples, env, tmp_path):
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    (tmp_path / "broken.jsonl").write_text('{"question": "q", "answer": "1"}\n{"question": \n')
    (tmp_path / "other.jsonl").write_text('{"query": "q", "answer": "1"}\n')
    change = dict(change)
    program, metric = change.pop("program", "app:good"), change.pop("metric", "app:metric")
    args = optimize(samples, tmp_path / "run", *sum(change.items(), ()), program=program, metric=metric)
    done = run(*args, cwd=tmp_path, env=env)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_missing_key_is_named(samples, tmp_path):
    done = run(*optimize(samples, tmp_path / "run"), cwd=tmp_path)
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_keeps_what_was_paid(samples, env, tmp_path):
    with Server(World(3, Settings(latency_s=0.15))) as server:
        env = {**env, "OPENAI_BASE_URL": server.base_url}
        process = subprocess.Popen(
            command(*optimize(samples, tmp_path / "run")), cwd=tmp_path, env=env, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell in the background ignores it
        )  # fmt: skip
        while not server.log and process.poll() is None:
            pass
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=30)
    assert process.returncode == 130, words
    assert "Traceback" not in words
    assert "interrupted" in words
    assert "journal" in words
    assert list((tmp_path / "run").iterdir())


def test_graph_prints_a_tree_and_writes_pictures(env, tmp_path):
    import tracediff as td

    @td.functional_node(name="app.upper")
    def upper(text):
        return text.upper()

    @td.functional_node(name="app.wrap")
    def wrap(text):
        return f"<<{text}>>"

    _, traced = td.trace(lambda: wrap(upper("some words that are long enough")))
    traced.save(tmp_path / "run.jsonl")
    done = run("graph", "run.jsonl", "--svg", "a.svg", "--dot", "a.dot", "--html", "a.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "<- app.upper#0 in text" in done.stdout
    for name in ("a.svg", "a.dot", "a.html"):
        assert "app.wrap#0" in (tmp_path / name).read_text()
    assert json.loads(run("graph", "run.jsonl", "--json", cwd=tmp_path).stdout) == traced.graph().to_json()
    from tracediff.testing import ScriptedEngine

    td.backward(traced.graph(), 0.0, ScriptedEngine()).save(tmp_path / "g.json")
    drawn = run("graph", "run.jsonl", "--gradients", "g.json", "--html", "b.html", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    missing = run("graph", "absent.jsonl", cwd=tmp_path)
    assert missing.returncode == 2
    assert "absent.jsonl" in missing.stderr


def test_params_lists_what_a_module_declares(tmp_path):
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    done = run("params", "app", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "app.task" in done.stdout
    assert "Count." in done.stdout


@pytest.mark.parametrize("name", ["demo", "optimize", "eval", "diff", "report", "graph", "params"])
def test_help_shows_an_example(name, tmp_path):
    done = run(name, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"tracediff {name}" in done.stdout


def test_eval_shows_what_went_wrong(tmp_path, samples):
    (tmp_path / "app.py").write_text(
        "def raises(question): raise ValueError('no such shelf')\ndef metric(p, s): return 1\n"
    )
    args = ("eval", "app:raises", "--data", samples / "val.jsonl", "--metric", "app:metric")
    done = run(*args, cwd=tmp_path)
    assert "0.000" in done.stdout
    assert "no such shelf" in done.stdout
    assert "15 more errors" in done.stdout
    found = json.loads(run(*args, "--json", cwd=tmp_path).stdout)
    assert len(found["errors"]) == 20
    assert found["excluded"] == []


def test_two_files_of_one_name_are_two_modules(tmp_path, samples):
    (tmp_path / "other").mkdir()
    (tmp_path / "app.py").write_text("def program(question): return 'x'\n")
    (tmp_path / "other" / "app.py").write_text("def mine(prediction, sample): return 1.0\n")
    args = ("eval", "app.py:program", "--data", samples / "val.jsonl", "--metric", "other/app.py:mine", "--json")
    assert json.loads(run(*args, cwd=tmp_path).stdout)["mean"] == 1.0


def test_a_budget_that_ends_before_the_start_is_still_json(tmp_path, samples, env):
    done = run(*optimize(samples, tmp_path / "run", "--max-seconds", 0, "--json"), cwd=tmp_path, env=env)
    assert done.returncode == 4, done.stderr
    assert json.loads(done.stdout, parse_constant=lambda name: pytest.fail(name))["improved"] is False
