"""Programs in several styles, run against a loopback server that keeps the bytes of every request."""

import asyncio
import importlib.util
import inspect
import pathlib
import re
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

import tracediff as td  # noqa: E402
from tests.integrations import anthropic_bodies, bodies  # noqa: E402
from tests.integrations.loopback import Loopback, as_json  # noqa: E402
from tracediff import discover  # noqa: E402
from tracediff.graph.runs import record  # noqa: E402

STYLES = pathlib.Path(__file__).parent / "styles"
ANSWERS = {
    "files": lambda text: bodies.response(text),
    "claude": lambda text: anthropic_bodies.message(text),
}
NAMES = sorted(path.stem for path in STYLES.glob("*.py"))


def data(number):
    """Inputs whose every word is marked."""
    words = iter(f"zq{number}w{k}" for k in range(1000))
    some = lambda count: " ".join(next(words) for _ in range(count))  # noqa: E731
    return {
        "question": f"{some(3)}\n{some(4)}  {some(2)}?",
        "docs": [some(1), f"{some(5)}.\n\n{some(3)}", f"{{{some(1)}}} {some(2)}\n"],
        "reply": some(4),
    }


@pytest.fixture(scope="session")
def loopback():
    server = Loopback()
    yield server
    server.close()


@pytest.fixture
def styles(loopback, monkeypatch):
    """Return a loader of programs: ``styles(name)`` has run(number) -> bytes of its requests."""
    monkeypatch.setenv("OPENAI_BASE_URL", loopback.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", loopback.base_url.removesuffix("/v1"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    td.instrument("openai", "anthropic")
    loaded = []

    def load(name):
        spec = importlib.util.spec_from_file_location(f"style_{name}", STYLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        loaded.append(spec.name)
        spec.loader.exec_module(module)

        def run(number):
            given = data(number)
            loopback.script(as_json(ANSWERS.get(name, bodies.chat)(given["reply"])))
            result = module.program(given["question"], given["docs"])
            if inspect.isawaitable(result):
                result = asyncio.run(result)
            assert result == given["reply"]
            return [seen.body for seen in loopback.seen]

        return SimpleNamespace(name=name, module=module, run=run)

    yield load
    td.uninstrument("openai", "anthropic")
    for name in loaded:
        sys.modules.pop(name, None)


@pytest.fixture
def found(styles):
    """Return what is found of a program by one run."""

    def find(name, numbers=(1,)):
        program = styles(name)
        watcher = discover.Observation()
        stop = watcher.watch()
        try:
            for number in numbers:
                with record():
                    program.run(number)
        finally:
            stop()
        return program, discover.find(watcher.sent)

    return find


def shouted(text, variables):
    """Return a text with other words, and its variables."""
    from tracediff.parameters import split

    made = []
    for literal, variable in split(text, variables):
        made.append(re.sub(r"\w+", lambda m: f"NEW{m[0].upper()}", literal))
        made.append("" if variable is None else "{" + variable + "}")
    return "".join(made)
