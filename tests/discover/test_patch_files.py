"""Write-back in files as people have them: line ends, encodings, tabs, a literal that stands there twice."""

import shutil
import subprocess

import pytest

pytest.importorskip("libcst")

from tracediff.report.patch import Change, make_patch  # noqa: E402

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

OLD, NEW = "You are the old clerk.", 'You are the new clerk,\nand you are "brief".'


def change(text=OLD, new=NEW, *, name="n", variables=(), line=1):
    return Change(name, text, variables, new, "a.py", line, is_declared=False)


def patched(folder, source, changes, encoding="utf-8"):
    """Return the file's bytes after ``git apply``, and what was not written."""
    file = folder / "a.py"
    file.write_bytes(source.encode(encoding))
    patch = make_patch(changes, folder)
    if patch.text:
        line = ["git", "apply", "--whitespace=nowarn"]
        done = subprocess.run(line, input=patch.text, cwd=folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
    return file.read_bytes(), patch.failed


def values(code):
    namespace = {}
    exec(compile(code, "a.py", "exec"), namespace)
    return namespace


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("is_ended", [True, False])
@pytest.mark.parametrize("form", ['"{}"', "'''{}'''", '"""\n{}\n"""', '("{}")'])
def test_line_ends_and_the_end_of_the_file_are_kept(tmp_path, end, is_ended, form):
    lines = ["# of a person", "A = 1", *f"X = {form.format(OLD)}".split("\n")]
    made, failed = patched(tmp_path, end.join(lines) + (end if is_ended else ""), [change(line=3)])
    assert failed == {}
    text = made.decode()
    assert text.endswith(end) == is_ended
    assert set(text.replace(end, "")) & {"\r", "\n"} == set()
    assert text.startswith(f"# of a person{end}A = 1{end}X = ")
    assert values(made)["X"].strip() == NEW


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "koi8-r", "utf-8", "utf-8-sig"])
def test_the_encoding_that_a_file_declares_is_kept(tmp_path, encoding):
    word = "Привет" if encoding == "koi8-r" else "café"
    cookie = "" if encoding == "utf-8-sig" else f"# -*- coding: {encoding} -*-\n"
    source = f'{cookie}WORD = "{word}"\nX = "{OLD}"\n'
    made, failed = patched(tmp_path, source, [change(new="A new text.", line=3 if cookie else 2)], encoding)
    assert failed == {}
    assert made == source.replace(OLD, "A new text.").encode(encoding)


def test_what_the_encoding_of_a_file_can_not_say_is_listed(tmp_path):
    source = f'# coding: latin-1\nWORD = "café"\nX = "{OLD}"\nY = "Another one."\n'
    more = change("Another one.", "Ça va.", name="c", line=4)
    made, failed = patched(tmp_path, source, [change(new="Say 東京.", line=3), more], "latin-1")
    assert made == source.replace("Another one.", "Ça va.").encode("latin-1")
    assert failed.keys() == {"n"}


def test_lines_that_end_as_no_patch_can_have_them_are_left_alone(tmp_path):
    source = f'A = 1\rX = "{OLD}"\r'
    made, failed = patched(tmp_path, source, [change(line=2)])
    assert made == source.encode()
    assert failed.keys() == {"n"}


def test_tabs_stay_tabs(tmp_path):
    source = f'def f():\n\tx = (\n\t\t"You are the "\n\t\t"old clerk."\n\t)\n\treturn x\n'
    made, failed = patched(tmp_path, source, [change(new=NEW + "\nMind\tthe tab.", line=3)])
    assert failed == {}
    assert "\n    " not in made.decode()
    assert values(made)["f"]() == NEW + "\nMind\tthe tab."


def test_a_text_that_stands_twice_is_one_prompt_and_written_twice(tmp_path):
    made, failed = patched(tmp_path, f'X = "{OLD}"\nY = "{OLD}"\nZ = "{OLD} Or not."\n', [change()])
    assert failed == {}
    assert [values(made)[name] for name in "XYZ"] == [NEW, NEW, f"{OLD} Or not."]


def test_a_text_of_two_parameters_is_written_only_where_both_want_the_same(tmp_path):
    source = f'X = "{OLD}"\nY = "Another one."\n'
    made, failed = patched(tmp_path, source, [change(name="a"), change(name="b")])
    assert (values(made)["X"], failed) == (NEW, {})
    more = change("Another one.", "Another two.", name="c", line=2)
    made, failed = patched(tmp_path, source, [change(name="a"), change(name="b", new="Other."), more])
    assert (values(made)["X"], values(made)["Y"]) == (OLD, "Another two.")
    assert failed.keys() == {"a", "b"}
    assert "a and b are one text here" in failed["b"]
