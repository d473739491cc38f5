"""Steps: functions of an undecorated program that stand between its model calls are nodes while they are in use."""

import importlib.util
import json
import sys

import pytest

pytest.importorskip("openai")

import tracediff as td
from tracediff import discover
from tracediff.discover.steps import Step, functions_around, stepped
from tracediff.errors import DataError, UsageError
from tracediff.simulate import Server, World
from tracediff.training.discovering import discover_parameters

PROGRAM = '''
import json, os
from openai import OpenAI
from {name}_index import look_up

INDEX = {{"tools": look_up}}

class Merger:
    """Puts texts together."""

    def merge(self, first, second):
        """Return both.

        More words.
        """
        return clean(first) + " and " + clean(second)

def clean(text):
    return " ".join(text.split())

def unrelated(text):
    return text.upper()

def settings():
    return {{"model": "sim-solver"}}

def ask(client, system, text):
    messages = [{{"role": "system", "content": system}}, {{"role": "user", "content": text}}]
    return client.chat.completions.create(messages=messages, **settings()).choices[0].message.content

def last_word(reply):
    return reply.split()[-1]

def program(question):
    with OpenAI() as client:
        first = ask(client, "Count the first things that you see here.", question)
        found = INDEX["tools"](first)
        unrelated(first)
        reply = ask(client, "Count the second things that you see here.", Merger().merge(found, "other words"))
        return last_word(reply)
'''
INDEX = """
def look_up(query):
    return "under " + query + " there is much"
"""


@pytest.fixture
def made(tmp_path, monkeypatch, request):
    """A program of two modules in a folder of its own."""
    name = f"stepping_{abs(hash(request.node.name)) % 10**8}"
    loaded = []
    for suffix, text in (("_index", INDEX), ("", PROGRAM.format(name=name))):
        path = tmp_path / f"{name}{suffix}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(f"{name}{suffix}", path)
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        loaded.append(spec.name)
    yield module
    for each in loaded:
        del sys.modules[each]


@pytest.fixture
def server(monkeypatch):
    with Server(World(1)) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        td.instrument("openai")
        yield running
        td.uninstrument("openai")


def last_parts(steps):
    return [step.name.partition(".")[2] for step in steps]


def test_every_function_of_the_users_folder_is_known_and_none_of_a_library(made):
    assert set(last_parts(functions_around(made.program))) == {
        "Merger.merge", "clean", "unrelated", "settings", "ask", "last_word", "program", "look_up",
    }  # fmt: skip
    assert functions_around(json.dumps) == ()
    assert functions_around(made.Merger()) == functions_around(made.Merger().merge)


def test_a_message_that_is_a_field_of_the_sample_is_data_and_no_prompt_without_source(made, server):
    found = discover_parameters(made.program, [{"question": "some words\n"}, {"question": "other ones"}], limit=2)
    texts = [text["text"] for text in found.file.unexplained]
    assert not {"some words", "some words\n", "other ones"} & set(texts)


def test_those_that_carry_what_a_model_said_are_found_and_what_they_call_within_is_not(made, server):
    made.look_up_before = made.look_up
    found = discover_parameters(made.program, [{"question": "some words"}, {"question": "other ones"}], limit=2)
    assert last_parts(found.file.steps) == ["look_up", "Merger.merge", "last_word"]
    assert [step.kind for step in found.file.steps] == ["retriever", "function", "function"]
    assert made.look_up is made.look_up_before, "nothing stays wrapped"


def test_calls_are_recorded_wherever_the_function_is_held_and_it_is_put_back(made):
    around = {step.name.partition(".")[2]: step for step in functions_around(made.program)}
    before = made.look_up, made.INDEX["tools"], vars(made.Merger)["merge"]
    with stepped([around["look_up"], around["Merger.merge"]]):
        with td.record() as run:
            assert made.INDEX["tools"]("ab") == made.look_up("ab") == "under ab there is much"
            assert made.Merger().merge("a", " b") == "a and b"
        assert made.Merger.merge.__doc__.startswith("Return both.")
    assert [(r.name.partition(".")[2], dict(r.inputs)) for r in run.records] == [
        ("look_up", {"query": "ab"}),
        ("look_up", {"query": "ab"}),
        ("Merger.merge", {"first": "a", "second": " b"}),
    ]
    assert run.records[-1].description == "Return both."
    assert (made.look_up, made.INDEX["tools"], vars(made.Merger)["merge"]) == before


def test_a_step_is_in_use_until_the_last_one_who_asked_is_done(made):
    steps = functions_around(made.program)
    plain = made.clean
    with stepped(steps):
        with stepped(steps[:1]), td.record() as run:
            made.clean("x")
        assert made.clean is not plain
    assert made.clean is plain and len(run.records) == 1
    other = [Step(steps[0].name, "tool")]
    with stepped(steps), pytest.raises(UsageError, match="another kind"), stepped(other):
        pass
    assert made.clean is plain


def test_a_decorated_function_is_no_step_twice(made):
    made.clean = td.functional_node(made.clean)
    assert "clean" not in last_parts(functions_around(made.program))


def test_a_step_that_is_gone_is_named(made):
    step = Step(f"{made.__name__}.gone", file="app.py")
    with pytest.raises(UsageError, match=r"no function .*\.gone to record \(from app\.py\)"), stepped([step]):
        pass


def test_the_file_keeps_steps_and_names_what_is_wrong_with_them(tmp_path):
    path, steps = tmp_path / "p.json", (Step("app.search", "retriever", "Finds.", "app.py", 3), Step("app.merge"))
    discover.save(path, discover.ParameterFile("app:f", (), (), steps))
    assert discover.load(path).steps == steps
    whole = json.loads(path.read_text())
    for change, words in (
        ([{"kind": "tool"}], 'needs a "name"'),
        ([{"name": "a.b", "line": "x"}], "line"),
        ([{"name": "a.b"}, {"name": "a.b"}], "two entries"),
        ({"name": "a.b"}, '"steps" must be a list'),
    ):
        path.write_text(json.dumps({**whole, "steps": change}))
        with pytest.raises(DataError, match=words):
            discover.load(path)
