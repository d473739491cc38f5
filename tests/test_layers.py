"""The house: data flows one way, integrations stay outside, an import does nothing else."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
FLOOR = {"errors": 0, "attributes": 0, "parameters": 0, "scores": 0, "engine": 0, "store": 0}
ORDER = ["capture", "discover", "graph", "autodiff", "optim", "training", "report", "cli"]
ROOMS = {**FLOOR, **{room: level for level, room in enumerate(ORDER, 1)}}
# Beside the stream of data: what they may import is said here.
ASIDE = {
    "simulate": {"simulate"},
    "testing": {*FLOOR, "capture", "graph", "autodiff"},
    "demo": {*ROOMS, "simulate"},
}
EXTRA = {"cli": {"simulate", "demo", ""}, "": set(ROOMS)}


def modules():
    for path in sorted((ROOT / "tracediff").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path, module):
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            if base == "tracediff":  # `from tracediff import graph` names a room
                for alias in node.names:
                    yield f"tracediff.{alias.name}", node.lineno
            else:
                yield base, node.lineno


def room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def allowed(of):
    if of in ASIDE:
        return ASIDE[of] | {of}
    if of in ROOMS:
        return {name for name, level in ROOMS.items() if level <= ROOMS[of]} | EXTRA.get(of, set())
    return EXTRA[of]


def test_data_flows_one_way():
    arrows = []
    for path, module in modules():
        home = room(module)
        for target, line in imports(path, module):
            if target.split(".")[0] == "tracediff" and room(target) not in allowed(home) and target != module:
                arrows.append(f"{path.relative_to(ROOT)}:{line} imports {target}")
    assert not arrows, "imports that run back up:\n" + "\n".join(arrows)


def test_every_module_has_a_room():
    unknown = {room(module) for _, module in modules()} - set(ROOMS) - set(ASIDE) - {"", "__main__"}
    assert not unknown, f"modules without a place in the layers: {unknown}"


def test_the_core_imports_no_integration_and_no_client():
    foreign = ("openai", "anthropic", "langchain", "langchain_core", "llama_index", "langgraph")
    for path, module in modules():
        tree = ast.parse(path.read_text())
        for node in tree.body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] not in foreign, f"{module} imports {name} at import time"
                assert not name.startswith("tracediff_"), f"{module} imports the integration {name}"


def test_integrations_use_public_names_only():
    permitted = ("tracediff.capture", "tracediff.attributes")
    for path in sorted((ROOT / "integrations").rglob("*.py")):
        for target, line in imports(path, ".".join(path.relative_to(ROOT / "integrations").with_suffix("").parts)):
            if target.split(".")[0] == "tracediff" and target != "tracediff":
                named = (
                    target == "tracediff.discover"
                    or target.startswith(permitted)
                    or target.count(".") == 1
                    and target.split(".")[1] in _public()
                )
                assert named, f"{path.relative_to(ROOT)}:{line} imports {target}"


def _public():
    import tracediff

    return tracediff.__all__


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)


def test_import_loads_no_client_and_no_screen_library():
    heavy = [
        "openai",
        "anthropic",
        "rich",
        "typer",
        "optuna",
        "httpx",
        "httpx2",
        "langchain_core",
        "llama_index",
        "ray",
    ]
    code = f"import sys, tracediff; print([m for m in {heavy!r} if m in sys.modules])"
    done = run(code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_import_has_no_side_effects(tmp_path):
    code = """
import logging, os, socket, sys, threading, warnings
warnings.simplefilter("error")
before = (set(os.listdir(".")), threading.active_count(), list(logging.root.handlers))
def refuse(*a, **k): raise AssertionError("a socket was made")
socket.socket.__init__ = refuse
from opentelemetry import trace
provider = trace._TRACER_PROVIDER
import tracediff
assert trace._TRACER_PROVIDER is provider, "the global tracer provider was set"
assert (set(os.listdir(".")), threading.active_count(), list(logging.root.handlers)) == before
assert logging.getLogger("tracediff").handlers == []
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], capture_output=True, text=True, cwd=tmp_path, env=_env(), check=False
    )
    assert done.returncode == 0, done.stderr


def _env():
    import os

    path = os.pathsep.join([str(ROOT), str(ROOT / "integrations"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def test_all_is_complete_and_every_name_resolves():
    import tracediff

    assert sorted(tracediff.__all__) == sorted(set(tracediff.__all__))
    for name in tracediff.__all__:
        assert getattr(tracediff, name) is not None, name
    for name in CONTRACT:
        assert name in tracediff.__all__, f"DESIGN.md promises tracediff.{name}"


CONTRACT = """
trainable_prompt functional_node record trace using score instrument uninstrument link backward defbackward evaluate
optimize aoptimize load activate Score ParameterGraph TracediffError LostContext MissingIntegration
""".split()


@pytest.mark.parametrize("path", [p for p, _ in modules()], ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small(path):
    assert path.read_text().count("\n") <= 450, f"{path} wants splitting"
