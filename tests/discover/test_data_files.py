"""Data files beside a program: prompts that they hold are found, the records of a corpus are data."""

import importlib.util
import json
import sys

import pytest

from tracediff import discover
from tracediff.discover import index
from tracediff.discover.observe import Sent
from tracediff.discover.requests import SYSTEM, USER, Place

PROGRAM = """
def answer(question, passages):
    return f"Answer the question from the passages below.\\nQuestion: {question}\\nPassages: {passages}\\nBe brief."
"""
PARAGRAPHS = [f"The stone number {n} of the old bridge was laid by mason {n * 7}." for n in range(30)]
QUESTIONS = ["Who laid it?", "Which stone is it?", "How old is it?"]
PROMPTS = {"main": {"system": "You know all about bridges and their masons."}}


@pytest.fixture
def find(tmp_path, monkeypatch):
    """Return what is found where a corpus of some paragraphs lies beside the program, and prompts in a file."""
    name = "program_beside_data_files"

    def run(corpus, shown):
        (tmp_path / f"{name}.py").write_text(PROGRAM)
        (tmp_path / "corpus.json").write_text(json.dumps(corpus, indent=0))
        (tmp_path / "1.json").write_text(json.dumps(PROMPTS))
        spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        monkeypatch.setattr(index, "_user_modules", lambda: [(name, str(tmp_path / f"{name}.py"))])
        calls = [
            Sent(
                f"{name}.program",
                "m",
                (),
                (
                    Place(("messages", 0, "content"), SYSTEM, PROMPTS["main"]["system"]),
                    Place(("messages", 1, "content"), USER, module.answer(question, "\n".join(passages))),
                ),
                (),
            )
            for question, passages in zip(QUESTIONS, shown, strict=True)
        ]
        return {p.name.removeprefix(f"{name}."): p for p in discover.find(calls).parameters}

    return run


@pytest.mark.parametrize("wrapped", [lambda p: p, lambda p: [{"title": "Bridge", "text": t} for t in p]])
def test_the_records_of_a_corpus_are_no_prompts(find, wrapped):
    found = find(wrapped(PARAGRAPHS), [PARAGRAPHS[:2], PARAGRAPHS[2:4], PARAGRAPHS[3:5]])
    assert {name: p.status for name, p in found.items()} == dict.fromkeys(["1.json.main.system", "answer"], "trainable")
    assert found["answer"].variables == ("question", "passages")


def test_of_a_few_texts_in_a_list_a_person_is_asked(find):
    found = find(PARAGRAPHS[:4], [PARAGRAPHS[:2], PARAGRAPHS[2:4], PARAGRAPHS[1:3]])
    trainable = {name for name, p in found.items() if p.status == "trainable"}
    assert trainable == {"1.json.main.system", "answer"}
    assert {p.status for name, p in found.items() if name.startswith("corpus.json")} == {"ask"}
