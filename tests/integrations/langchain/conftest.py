"""LangChain's and LangGraph's programs against a loopback world. Nothing is collected where they are not installed."""

import importlib.util
import pathlib

import pytest

from tests.integrations.programs import close_loop, in_loop, loader

NEEDED = ("langchain_core", "langchain", "langgraph", "langchain_openai")
if any(importlib.util.find_spec(name) is None for name in NEEDED):
    collect_ignore_glob = ["test_*.py"]

__all__ = ["NAMES", "in_loop"]
PROGRAMS = pathlib.Path(__file__).parent / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py"))
if importlib.util.find_spec("langchain_anthropic") is None:
    NAMES.remove("claude")


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
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", world.base_url.removesuffix("/v1"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    load, forget = loader(world, PROGRAMS, "lc")
    yield load
    forget()
