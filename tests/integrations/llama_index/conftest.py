"""LlamaIndex's programs against a loopback world. Nothing is collected where it is not installed."""

import importlib.util
import pathlib

import pytest

from tests.integrations.programs import close_loop, in_loop, loader

if any(importlib.util.find_spec(name) is None for name in ("llama_index", "llama_index_instrumentation")):
    collect_ignore_glob = ["test_*.py"]


def pytest_configure(config):
    """LlamaIndex leaves event loops open, and reads what pydantic calls deprecated."""
    for line in (
        "ignore::DeprecationWarning",
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ):
        config.addinivalue_line("filterwarnings", line)


PROGRAMS = pathlib.Path(__file__).parent / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py"))


@pytest.fixture(scope="session")
def world():
    from tests.integrations.langchain.world import World

    made = World()
    yield made
    made.close()
    close_loop()


@pytest.fixture
def load(world, monkeypatch):
    """Return a loader of programs; each test gets a module of its own, made before or after ``instrument`` as it likes."""
    monkeypatch.setenv("OPENAI_BASE_URL", world.base_url)
    monkeypatch.setenv("OPENAI_API_BASE", world.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    loaded = []
    load, forget = loader(world, PROGRAMS, "li")

    def kept(name):
        loaded.append(load(name))
        return loaded[-1]

    yield kept
    forget()
    for module in loaded:
        if module.llm._client is not None:
            module.llm._client.close()
        if module.llm._aclient is not None:
            in_loop(module.llm._aclient.close())
