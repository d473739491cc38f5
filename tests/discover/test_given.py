"""Templates that a framework's hook gives to the index."""

import pytest

import tracediff as td
from tracediff import discover
from tracediff.discover import given
from tracediff.discover.frames import Caller
from tracediff.errors import UsageError


def send(watcher, text):
    return watcher("chat", {"messages": [{"role": "user", "content": text}]})


@pytest.fixture
def sent(monkeypatch):
    """Return what is found in a request with this user text, no source beside what is given."""
    monkeypatch.setattr(given, "_store", given._Store())
    monkeypatch.setattr("tracediff.discover.index._user_modules", lambda: iter(()))
    monkeypatch.setattr("tracediff.discover.observe.caller", Caller)

    def find(text):
        watcher = discover.Observation()
        send(watcher, text)
        return discover.find(watcher.sent).parameters

    return find


def test_a_given_template_explains_a_request_with_its_name_and_origin(sent):
    discover.add_template("Judge {{this}} text:\n{text}", ["text"], "chain.prompt", "hub:someone/judge")
    (found,) = sent("Judge {this} text:\nzq1 zq2")
    assert (found.name, found.text, found.variables) == ("chain.prompt", "Judge {this} text:\n{text}", ("text",))
    assert (found.status, found.note, found.file, found.line) == ("trainable", "from hub:someone/judge", "", 0)


def test_one_whose_doubled_braces_stay_is_known_too(sent):
    discover.add_template("Judge {{this}} text:\n{text}", ["text"], "kept", "x")
    (found,) = sent("Judge {{this}} text:\nzq1 zq2")
    assert found.text == "Judge {{this}} text:\n{text}"


@pytest.mark.parametrize(
    ("template", "variables", "syntax"),
    [
        ("Q: {question}", ["question"], "format"),
        ([("Q: ", "question")], (), "format"),
        ("Q: {{ question }}", ["question"], "jinja"),
    ],
)
def test_a_short_one_explains_a_whole_text_whoever_sends_it(sent, template, variables, syntax):
    discover.add_template(template, variables, "short", "x", syntax=syntax)
    (found,) = sent("Q: zq1 zq2")
    assert found.text == "Q: {question}"
    with td.using({"short": "Asked: {question}!"}):
        body = send(discover.Overlay([found]), "Q: zq8")
    assert body["messages"][0]["content"] == "Asked: zq8!"


def test_parts_between_the_blocks_of_a_template_are_prompts_of_their_own(sent):
    discover.add_template(
        "Answer in a few words.{% if s %} Be strict with {{ who }} now.{% endif %}", (), "p", "x", syntax="jinja"
    )
    assert [p.text for p in sent("Answer in a few words. Be strict with zq1 now.")] == [
        "Answer in a few words.",
        "Be strict with {who} now.",
    ]


def test_without_variables_braces_are_text(sent):
    discover.add_template("Reply as {answer} to all of it.", (), "raw", "x")
    (found,) = sent("Reply as {answer} to all of it.")
    assert found.variables == ()


def test_a_template_is_entered_once(sent):
    for _ in range(3):
        discover.add_template("Say it in {n} words please.", ["n"], "once", "x")
    assert len(given.given_templates()) == 1


def test_what_is_no_template_is_refused():
    with pytest.raises(UsageError, match="syntax"):
        discover.add_template("x", syntax="erb")
    with pytest.raises(UsageError, match="pairs"):
        discover.add_template([(1, "x")])
