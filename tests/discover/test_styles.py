"""What is found in programs of several styles, and what stands in the requests when it is replaced."""

import json
import pathlib
import re
import sys
import types

import pytest

import tracediff as td
from tests.discover.conftest import NAMES, shouted
from tracediff import discover
from tracediff.graph.runs import record


WORD = re.compile(r"zq\w+")


def located(parameter):
    """The lines of its file, from the first to the last."""
    lines = pathlib.Path(parameter.file).read_text().splitlines()
    return "\n".join(lines[parameter.line - 1 : parameter.end_line])


@pytest.mark.parametrize("name", NAMES)
def test_no_data_word_is_changed_and_all_else_is(found, name):
    program, findings = found(name)
    chosen = [p for p in findings.parameters if p.status == "trainable"]
    assert chosen
    plain = program.run(2)
    candidate = {p.name: shouted(p.text, p.variables) for p in chosen}
    with discover.discovered(findings.parameters) as overlay, td.using(candidate):
        sent = program.run(2)
    assert overlay.counts == {"replaced": len(plain)}
    for before, after in zip(plain, sent, strict=True):
        assert WORD.findall(before.decode()) == WORD.findall(after.decode())
        assert unreplaced(json.loads(after)) == []


KEPT = {
    "You count the things that the user asks about, one by one.",  # declared: the decorator's own
}


def unreplaced(body):
    """What stands between data in the prompts of a request and is not the candidate's."""
    from tracediff.discover.requests import places

    rest = []
    for place in places("chat", body):
        if place.text not in KEPT:
            rest += [word for word in re.findall(r"[A-Za-z]+\w*", place.text) if not word.startswith(("NEW", "zq"))]
    return rest


@pytest.mark.parametrize("name", NAMES)
def test_the_identity_candidate_sends_the_same_bytes(found, name):
    program, findings = found(name)
    plain = program.run(2)
    with discover.discovered(findings.parameters):
        assert program.run(2) == plain
        with td.using({p.name: p.text for p in findings.parameters}), record():
            assert program.run(2) == plain


@pytest.mark.parametrize("name", NAMES)
def test_literals_are_found_in_file_and_line(found, name):
    _, findings = found(name)
    for parameter in findings.parameters:
        there = re.findall(r"[A-Za-z]+", located(parameter).replace("\\n", " "))
        words = [word for literal in parameter.pattern.cores for word in re.findall(r"[A-Za-z]+", literal)]
        assert words
        assert set(words) <= set(there), parameter
        assert parameter.end_line - parameter.line <= 6


SLOTS = {
    "attribute": {"Agent.persona": (), "Agent.step": ("hero", "text")},
    "builder": {
        "persona": ("tone",),
        "RULES": (),
        "build_system": (),
        "build_system_2": ("parts", "listed"),
        "build_system.listed": ("number",),
        "program.text": ("question",),
    },
    "claude": {
        "GUIDE": (),
        "program.system": ("GUIDE", "docs"),
        "program.user": ("question",),
        "program.description": (),
    },
    "constant": {"SYSTEM": (), "ANSWER": ("context", "question")},
    "dollar": {"program.prompt": (), "TEMPLATE": ("kind", "text"), "program.prompt_2": ("docs",)},
    "fstring": {"program.system": (), "program.user": ("docs", "question")},
    "mixed": {"program.user": ("question",)},
}


@pytest.mark.parametrize("name", sorted(SLOTS))
def test_parameters_and_slots_have_the_names_of_the_source(found, name):
    _, findings = found(name)
    names = {p.name.removeprefix(f"style_{name}."): p.variables for p in findings.parameters}
    assert names == SLOTS[name]


def test_files_beside_the_program(found):
    _, findings = found("files")
    assert {(p.name.partition("prompts.")[2], p.line): p.variables for p in findings.parameters} == {
        ("answer.txt", 1): ("facts",),
        ("judge.j2", 1): (),
        ("judge.j2_2", 3): (),
        ("judge.j2_3", 5): ("question",),
        ("judge.j2_4", 8): (),
        ("judge.j2_5", 10): (),
    }


def test_what_is_declared_is_not_discovered_twice(found):
    _, findings = found("mixed")
    assert [p.name for p in findings.parameters] == ["style_mixed.program.user"]


def test_a_text_of_a_few_words_in_another_module_takes_nothing(found, monkeypatch, tmp_path):
    other = tmp_path / "aaa_other.py"
    other.write_text('def ask(question):\n    return f"Q: {question}"\n')
    module = types.ModuleType("aaa_other")
    module.__file__ = str(other)
    monkeypatch.setattr(sys, "modules", {"aaa_other": module, **sys.modules})
    _, findings = found("builder")
    assert "style_builder.program.text" in {p.name for p in findings.parameters}


def test_a_pair_of_role_and_text_is_a_message_and_no_list_of_texts(found):
    _, findings = found("pairs")
    assert [(p.name.rpartition(".")[2], p.status) for p in findings.parameters] == [
        ("system", "trainable"),
        ("user", "trainable"),
    ]
