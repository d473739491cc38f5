"""Text files of several prompts, files of data, and scripts without spaces."""

import pytest

from tracediff import discover
from tracediff.discover.index import SourceIndex
from tracediff.discover.observe import Sent
from tracediff.discover.pattern import count_words
from tracediff.discover.requests import SYSTEM, USER, Place
from tracediff.discover.sections import sections

SYSTEM_TEXT = "You keep the books of a small shop.\nNever round a sum."
USER_TEXT = "These are the sums of the day:\n{sums}\nAdd them up."


class Files(SourceIndex):
    """The texts of one folder."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def templates(self, files=()):
        self._read_folder(self.folder)
        return tuple(template for found in self._read.values() for template in found)


def found(folder, *calls):
    """Return what the files of a folder say of requests of (role, text) pairs."""
    sent = [
        Sent("app.f", "m", (), tuple(Place(("messages", n, "content"), *turn) for n, turn in enumerate(turns)), ())
        for turns in calls
    ]
    return discover.find(sent, Files(folder)).parameters


@pytest.mark.parametrize(
    "layout",
    [
        "---\nname: x\nmodel: y\n---\nsystem:\n{}\n\nuser:\n{}\n",
        "# System\n\n{}\n\n# User\n\n{}\n",
        "About this file.\n\n## System prompt\n{}\n## User prompt\n{}\n",
        "{}\n=====\n{}\n",
        "[SYSTEM]\n{}\n[/SYSTEM]\n[USER]\n{}\n[/USER]\n",
        "<system>\n{}\n</system>\n<user>\n{}\n</user>\n",
    ],
)
def test_each_section_of_a_file_is_a_prompt_of_its_own(tmp_path, layout):
    (tmp_path / "shop.md").write_text(layout.format(SYSTEM_TEXT, USER_TEXT))
    call = [(SYSTEM, SYSTEM_TEXT), (USER, USER_TEXT.format(sums="1 and 2"))]
    assert [(p.text, p.status) for p in found(tmp_path, call)] == [(SYSTEM_TEXT, "trainable"), (USER_TEXT, "trainable")]


def test_a_file_without_such_lines_has_no_sections():
    assert list(sections("A text: of\ntwo lines - or three.\n", "n")) == []


def test_sections_know_their_lines_and_titles():
    assert list(sections("# One\n\ntext\n# Two words\nmore\n", "n")) == [
        ("n.one", "text", 2, 3),
        ("n.two_words", "more", 5, 5),
    ]


@pytest.mark.parametrize(
    ("path", "status"),
    [("docs/tea.md", "ask"), ("prompts/docs.md", "trainable"), ("prompt/tea.md", "trainable")],
)
def test_a_text_of_a_file_that_is_named_as_data_is_asked_about(tmp_path, path, status):
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text("# Tea\n\nTea is kept in a dry place.\n")
    assert [p.status for p in found(tmp_path, [(USER, "zq1\nTea is kept in a dry place.\nzq2")])] == [status]


def test_words_of_scripts_that_write_none_apart_are_counted_by_their_letters():
    assert count_words("你是一位老师") == 3
    assert count_words("用 Python 回答") == 3
    assert count_words("three words here") == 3
