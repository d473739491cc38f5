"""Prompts files: whole or not at all, bound to the code they were trained from."""

import json
import warnings

import pytest

from tracediff.errors import DataError, PromptsMismatch
from tracediff.parameters import Parameter
from tracediff.store import load, save_prompts

GREETING = Parameter("app.greeting", "Say hello to {who}.", ("who",))


def saved(tmp_path, text="Greet {who} warmly."):
    path = tmp_path / "prompts.json"
    save_prompts(path, {"app.greeting": text}, [GREETING])
    return path


def test_round_trip(tmp_path):
    prompts = load(saved(tmp_path))
    assert dict(prompts) == {"app.greeting": "Greet {who} warmly."}
    text = prompts["app.greeting"].for_code("app.greeting", GREETING.text)
    assert text == "Greet {who} warmly."
    assert type(text) is str


def test_changed_code_keeps_the_code_text_and_shows_the_difference(tmp_path):
    prompts = load(saved(tmp_path))
    with pytest.warns(
        UserWarning, match=r"(?s)-Say hello to \{who\}\..*\+Say good bye to \{who\}\..*code's text is kept"
    ):
        assert prompts["app.greeting"].for_code("app.greeting", "Say good bye to {who}.") is None


def test_changed_code_raises_when_strict(tmp_path):
    prompts = load(saved(tmp_path), strict=True)
    with pytest.raises(PromptsMismatch, match=r"app\.greeting"):
        prompts["app.greeting"].for_code("app.greeting", "Say good bye to {who}.")


def test_unchanged_code_warns_of_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(saved(tmp_path))["app.greeting"].for_code("app.greeting", GREETING.text)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("not json", "no prompts file"),
        ("[]", "no prompts file"),
        ('{"tracediff_prompts": 9, "prompts": {}}', "tracediff_prompts"),
        ('{"tracediff_prompts": 1, "prompts": {"a": {"text": 3, "code_hash": ""}}}', "no string"),
        ('{"tracediff_prompts": 1, "prompts": []}', "no prompts file"),
        ('{"tracediff_prompts": 1, "prompts": {"a": {"text": "x", "code_hash": "", "code_text": 5}}}', "no string"),
        (
            '{"tracediff_prompts": 1, "prompts": {"a": {"text": "x", "variables": ["v"], "code_hash": ""}}}',
            "lost the var",
        ),
    ],
)
def test_a_bad_file_is_named(tmp_path, body, words):
    path = tmp_path / "prompts.json"
    path.write_text(body)
    with pytest.raises(DataError, match=words) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "p.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="p.json"):
        load(tmp_path / "p.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="absent.json"):
        load(tmp_path / "absent.json")


def test_a_missing_folder_is_named_and_nothing_is_left(tmp_path):
    with pytest.raises(DataError, match="folder"):
        save_prompts(tmp_path / "no" / "p.json", {"a": "b"}, [])
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = saved(tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save_prompts(path, {"app.greeting": "other {who}"}, [GREETING])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["prompts.json"]


def test_the_file_is_plain_ascii_json(tmp_path):
    document = json.loads(saved(tmp_path, "Grüße {who} \ud800").read_bytes().decode("ascii"))
    assert document["prompts"]["app.greeting"]["text"] == "Grüße {who} \ud800"
