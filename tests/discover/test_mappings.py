"""Texts of a mapping in the source: prompts chosen by name are trainable, passages put into a prompt are asked about."""

import importlib.util
import sys

from tracediff import discover
from tracediff.discover import index
from tracediff.discover.observe import Sent
from tracediff.discover.requests import SYSTEM, USER, Place

PROGRAM = """
ROUTES = {
    "bill": "You settle questions about bills with great patience.",
    "repair": "You plan repairs of old boilers step by step.",
}
FACTS = {
    "danube": "The Danube passes ten countries before it meets the sea.",
    "rhine": "The Rhine carries more freight than other rivers of the land.",
}

def answer(question, passage):
    return f"Answer the question from the passage below.\\nPassage: {passage}\\nQuestion: {question}"
"""


def test_prompts_chosen_by_name_are_trainable_and_passages_are_asked_about(tmp_path, monkeypatch):
    name = "program_with_mappings"
    path = tmp_path / f"{name}.py"
    path.write_text(PROGRAM)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(index, "_user_modules", lambda: [(name, str(path))])
    calls = [
        Sent(
            f"{name}.answer",
            "m",
            (),
            (
                Place(("messages", 0, "content"), SYSTEM, module.ROUTES[route]),
                Place(("messages", 1, "content"), USER, module.answer(question, module.FACTS[fact])),
            ),
            (),
        )
        for route, question, fact in [
            ("bill", "How long is it?", "danube"),
            ("bill", "What is on it?", "rhine"),
            ("repair", "What is on it?", "rhine"),
            ("repair", "Who lives there?", "danube"),
        ]
    ]
    found = {p.name.removeprefix(f"{name}."): p.status for p in discover.find(calls).parameters}
    assert found == {
        "bill": "trainable",
        "repair": "trainable",
        "answer": "trainable",
        "danube": "ask",
        "rhine": "ask",
    }
