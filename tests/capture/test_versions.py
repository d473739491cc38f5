"""A framework in a version that is not supported is named, with what to install."""

import importlib
import warnings

import pytest

import tracediff as td
from tracediff.capture import versions
from tracediff.errors import MissingIntegration, UnsupportedVersion


def installed(monkeypatch, found):
    def version(package):
        if found is None:
            raise versions.PackageNotFoundError(package)
        return found

    monkeypatch.setattr(versions, "version", version)


@pytest.mark.parametrize("found", ["1.0.0", "1.0", "1.0.0rc1", "1.9.12", "1.12.3.post1"])
def test_a_supported_version_is_returned(monkeypatch, found):
    installed(monkeypatch, found)
    assert versions.require("some", "some-core", "1.0", "2") == found


@pytest.mark.parametrize("found", ["0.3.86", "2.0.0", "2.0.0b1", "10.1", "0.9", "unknown"])
def test_another_version_says_what_is_supported_and_what_is_there(monkeypatch, found):
    installed(monkeypatch, found)
    with pytest.raises(UnsupportedVersion) as caught:
        versions.require("some", "some-core", "1.0", "2")
    assert "some-core from 1.0 to below 2" in str(caught.value)
    assert f"{found} is installed" in str(caught.value)
    assert "pip install 'tracediff[some]'" in str(caught.value)


def test_a_package_that_is_not_there_is_a_missing_integration(monkeypatch):
    installed(monkeypatch, None)
    with pytest.raises(MissingIntegration, match="needs the package some-core") as caught:
        versions.require("some", "some-core", "1.0", "2")
    assert not isinstance(caught.value, UnsupportedVersion)


@pytest.mark.parametrize("name", ["langchain", "langgraph", "llama_index"])
def test_an_unsupported_framework_is_an_error_by_name_and_else_a_warning(monkeypatch, name):
    installed(monkeypatch, "0.3.1")
    with pytest.raises(UnsupportedVersion, match=name):
        td.instrument(name)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        turned_on = td.instrument()
    td.uninstrument()
    assert name not in turned_on
    assert [str(warning.message) for warning in told if f"instrument({name!r}) supports" in str(warning.message)]


@pytest.mark.parametrize("name", ["langchain", "langgraph", "llama_index"])
def test_the_bounds_are_those_of_the_extra(name):
    import pathlib
    import tomllib

    project = tomllib.loads((pathlib.Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module = importlib.import_module(f"tracediff_{name}")
    (wanted,) = project["optional-dependencies"][name.replace("_", "-")]
    assert wanted.endswith(f">={module.LOWEST},<{module.HIGHEST}")
