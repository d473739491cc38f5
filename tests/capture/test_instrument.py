"""Turning integrations on and off by name, by entry point, with what is installed."""

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from threading import Thread

import pytest

from tracediff.capture.context import carry_into_threads
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.errors import MissingIntegration, UsageError
from tracediff.graph.runs import record

instrumenting = importlib.import_module("tracediff.capture.instrument")  # the package exports the function of that name
CALLS = []


def install():
    CALLS.append("on")
    return lambda: CALLS.append("off")


def install_without_library():
    raise MissingIntegration("instrument('gone') needs the package gone; install it: pip install 'x[gone]'")


@pytest.fixture
def registered(monkeypatch):
    """Two entry points of a third party beside our own table."""
    CALLS.clear()
    monkeypatch.setitem(sys.modules, "third_party_integration", sys.modules[__name__])
    entries = [
        EntryPoint("third", "third_party_integration:install", instrumenting.GROUP),
        EntryPoint("gone", "third_party_integration:install_without_library", instrumenting.GROUP),
    ]
    monkeypatch.setattr(instrumenting, "entry_points", lambda group: entries if group == instrumenting.GROUP else [])
    yield
    uninstrument()


def test_a_third_party_entry_point_is_turned_on_once_and_off_once(registered):
    assert instrument("third") == ("third",)
    assert instrument("third") == ("third",)
    assert CALLS == ["on"]
    uninstrument("third")
    uninstrument("third")
    assert CALLS == ["on", "off"]
    instrument("third")
    assert CALLS == ["on", "off", "on"]


def test_without_names_everything_installed_is_turned_on(registered):
    assert instrument() == ("openai", "anthropic", "third")
    uninstrument()
    assert CALLS == ["on", "off"]


def test_a_named_integration_without_its_library_raises_the_pip_line(registered):
    with pytest.raises(MissingIntegration, match="pip install"):
        instrument("gone")


def test_a_missing_openai_names_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingIntegration, match=r"pip install 'tracediff\[openai\]'"):
        instrument("openai")
    assert "openai" not in instrument()


@pytest.mark.parametrize("call", [instrument, uninstrument])
def test_an_unknown_name_lists_the_known_ones_and_changes_nothing(registered, call):
    with pytest.raises(UsageError, match="'opnai'.*gone, .*openai, third"):
        call("third", "opnai")
    assert CALLS == []


def test_our_own_are_known_in_a_source_tree_without_metadata(monkeypatch):
    monkeypatch.setattr(instrumenting, "entry_points", lambda group: [])
    assert instrument("openai") == ("openai",)
    uninstrument()


def test_without_names_threads_and_pools_are_as_before():
    carry_into_threads()
    assert all(hasattr(patched, "__wrapped__") for patched in (Thread.start, Thread.run, ThreadPoolExecutor.submit))
    with record():
        uninstrument()
        assert hasattr(Thread.start, "__wrapped__")  # this run still needs it
    uninstrument()
    assert not any(hasattr(patched, "__wrapped__") for patched in (Thread.start, Thread.run, ThreadPoolExecutor.submit))
    with record():
        assert hasattr(Thread.start, "__wrapped__")
