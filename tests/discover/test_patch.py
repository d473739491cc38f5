"""Write-back: the patched program sends what the candidate sent, byte for byte."""

import importlib.util
import inspect
import os
import asyncio
import pathlib
import re
import shutil
import subprocess
import sys

import hypothesis
import pytest
from hypothesis import strategies as st

pytest.importorskip("openai")
pytest.importorskip("anthropic")
pytest.importorskip("libcst")

import tracediff as td  # noqa: E402
from tests.discover.conftest import ANSWERS, STYLES, data  # noqa: E402
from tests.integrations import bodies  # noqa: E402
from tests.integrations.loopback import as_json  # noqa: E402
from tracediff import discover  # noqa: E402
from tracediff.discover import index  # noqa: E402
from tracediff.capture import declared_parameters  # noqa: E402
from tracediff.graph.runs import record  # noqa: E402
from tracediff.parameters import Parameter, split  # noqa: E402
from tracediff.report.patch import Change, make_patch  # noqa: E402
from tracediff.report.patch.expressions import text_expressions  # noqa: E402
from tracediff.report.patch.rewrite import rewritten  # noqa: E402
from tracediff.store import load, load_parameters, save_prompts  # noqa: E402

ROOT = pathlib.Path(__file__).parents[2]
OWN = pathlib.Path(__file__).parent / "write_back"
PROGRAMS = {path.stem: path for folder in (STYLES, OWN) for path in sorted(folder.glob("*.py"))}


def words(text, variables):
    """Return the text with every word replaced."""
    return "".join(
        re.sub(r"(?<!\{)\b\w+\b(?!\})", lambda m: f"NEW{m[0].upper()}", literal)
        + ("" if name is None else "{" + name + "}")
        for literal, name in split(text, variables)
    )


def longer(text, variables):
    """Return the text with more to it: lines, quotes, backslashes, other alphabets."""
    return (
        text
        + '\nAlso: it\'s "quoted", with a back\\slash, 5% of $5, \'\'\'three\'\'\' and """more""" — naïve 東京.\nEnd.'
    )


def braces(text, variables):
    """Return the text with braces that are no fields."""
    return text + ' Reply as {"answer": ["..."]} now.'


def inserted(text, variables):
    """Return the text with a sentence after each of its lines."""
    return "\n".join(f"{line} Mind this one." if line.strip() else line for line in text.split("\n"))


CHANGES = (words, longer, braces, inserted)


class Program:
    """A copy of a program in a folder of its own."""

    def __init__(self, name, folder, loopback):
        self.name, self.folder, self.loopback = name, folder, loopback
        for path in PROGRAMS[name].parent.iterdir():
            if path.is_dir():
                shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__"))
            elif path.stem == name:
                shutil.copy(path, folder / path.name)
        self.file = folder / f"{name}.py"

    def load(self):
        module_name = f"patched_{self.name}"
        sys.modules.pop(module_name, None)
        spec = importlib.util.spec_from_file_location(module_name, self.file)
        self.module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = self.module
        spec.loader.exec_module(self.module)

    def run(self, number=1):
        given = data(number)
        self.loopback.script(as_json(ANSWERS.get(self.name, bodies.chat)(given["reply"])))
        result = self.module.program(given["question"], given["docs"])
        if inspect.isawaitable(result):
            asyncio.run(result)
        return [seen.body for seen in self.loopback.seen]

    def parameters(self):
        """Return the declared prompts and those that one run discovers."""
        watcher = discover.Observation()
        stop = watcher.watch()
        try:
            with record():
                self.run()
        finally:
            stop()
        found = discover.find(watcher.sent).parameters
        kept = tuple(p for p in found if p.status == "trainable")
        declared = [p for p in declared_parameters() if pathlib.Path(p.file) == self.file]
        return declared, kept


@pytest.fixture
def program(loopback, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_BASE_URL", loopback.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", loopback.base_url.removesuffix("/v1"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    # The other programs of this process are the tests' own.
    all_modules = index._user_modules
    monkeypatch.setattr(index, "_user_modules", lambda: (m for m in all_modules() if m[1].startswith(str(tmp_path))))
    td.instrument("openai", "anthropic")

    def copied(name):
        made = Program(name, tmp_path, loopback)
        made.load()
        return made

    yield copied
    td.uninstrument("openai", "anthropic")
    for name in [name for name in sys.modules if name.startswith("patched_")]:
        del sys.modules[name]


def applied(patch, folder):
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn"], input=patch, cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode() + patch.decode()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_patched_program_sends_what_the_candidate_sent(program, name, change):
    copy = program(name)
    declared, found = copy.parameters()
    assert declared or found
    parameters = [*declared, *(p.parameter() for p in found)]
    candidate = {p.name: change(p.text, p.variables) for p in parameters}
    with discover.discovered(found), td.using(candidate), record():
        wanted = copy.run(2)
    before = copy.run(2)
    assert wanted != before

    save_prompts(copy.folder / "prompts.json", candidate, parameters)
    texts = load(copy.folder / "prompts.json")
    read = load_parameters(copy.folder / "prompts.json")
    patch = make_patch([Change.of(p, texts[p.name]) for p in read], copy.folder)
    if change is braces and name == "files":  # who fills a text file is not known
        assert list(patch.failed) == ["prompts.answer.txt"]
        return
    assert patch.failed == {}
    applied(patch.text, copy.folder)
    copy.load()
    assert list(map(bytes.decode, copy.run(2))) == list(map(bytes.decode, wanted))


SOURCE = '''\
"""Doc."""
PLAIN = "Be brief."
RAW = r"Never \\d this."
LINES = """\\
One line.
  Two {lines}.
"""
SIDE = (
    "Side by side, "
    'and "again".\\n'
)
MADE = f"Hello {2 + 3:>4} and {{so}} on"
SUM = "From " + str(7) + ' to ' + "there"
'''
NAMES = ("PLAIN", "RAW", "LINES", "SIDE", "MADE", "SUM")


@hypothesis.given(
    st.sampled_from(NAMES), st.text(alphabet=st.characters(exclude_characters="\r\0"), min_size=1), st.booleans()
)
@hypothesis.example("RAW", "\ud800", False)  # noqa: FBT003 - as hypothesis wants it
def test_any_text_is_written_so_that_python_reads_it_back(name, text, at_end):
    hypothesis.assume(text.strip() == text)
    source = SOURCE.encode()
    number = NAMES.index(name) + 1
    expression = text_expressions(source)[number]
    slots = [atom for atom in expression.atoms if not isinstance(atom, str)]
    atoms = [*slots, *text] if at_end else [*text, *slots]
    before, after = {}, {}
    exec(SOURCE, before)
    exec(rewritten(source, number, atoms), after)
    filled = {"MADE": "   5", "SUM": "7"}.get(name, "")
    assert after[name] == (filled + text if at_end else text + filled)
    assert {n: after[n] for n in NAMES if n != name} == {n: before[n] for n in NAMES if n != name}


def change_of(file, text, new, variables=(), line=1, *, is_declared=False):
    return Change("n", text, variables, new, file, line, is_declared=is_declared)


@pytest.mark.parametrize(
    ("file", "source", "text", "new", "reason"),
    [
        ("gone.py", None, "Old text.", "New.", "no file"),
        ("../up.py", None, "Old text.", "New.", "not below"),
        ("", None, "Old text.", "New.", "not known"),
        ("a.py", 'X = "Another text."\n', "Old text.", "New.", "not in the file any more"),
        ("a.py", "X = (\n", "Old text.", "New.", "can't be read as Python"),
        ("a.py", 'X = "Old {} of {}."\nX.format(1, 2)\n', "Old {a} of {b}.", "{b}, {a}.", "filled in order"),
        ("a.py", 'X = "Old text."\n', "Old text.", "New.\n", "whitespace"),
        ("a.py", 'def f():\n    """Old\n    text."""\n', "Old\ntext.", "New\n\ttext.", "whitespace"),
        ("a.yaml", "x: [Old, text]\n", "Old text.", "New.", "not in the file any more"),
    ],
)
def test_what_can_not_be_written_is_listed_and_nothing_is_guessed(tmp_path, file, source, text, new, reason):
    if source is not None:
        (tmp_path / file).write_text(source)
    patch = make_patch([change_of(file, text, new, ("a", "b"))], tmp_path)
    assert patch.text == b""
    assert reason in patch.failed["n"]


@pytest.mark.parametrize(
    ("library", "braces"),
    [("llama_index.core", '{"a": 1}'), ("langchain_core.prompts", '{{"a": 1}}')],
)
@pytest.mark.parametrize("form", ["X = PromptTemplate({})\n", "X = {}\nY = PromptTemplate(X)\n"])
def test_braces_are_written_as_the_library_reads_them(tmp_path, library, braces, form):
    head = f"from {library} import PromptTemplate\n"
    (tmp_path / "a.py").write_text(head + form.format('"Old text about {a}."'))
    patch = make_patch([change_of("a.py", "Old text about {a}.", 'New {a}, as {"a": 1}.', ("a",), 2)], tmp_path)
    assert patch.failed == {}
    applied(patch.text, tmp_path)
    namespace = {"PromptTemplate": str}
    exec((tmp_path / "a.py").read_text().removeprefix(head), namespace)
    assert namespace["X"] == f"New {{a}}, as {braces}."


@pytest.mark.parametrize(
    ("file", "source", "wanted"),
    [
        ("a.toml", 'x = 1\ny = """\nOld text\nof two lines."""\n', 'x = 1\ny = """\nNew text.\nOf three\nlines."""\n'),
        ("a.yaml", "x: |\n  Old text\n  of two lines.\nz: 1\n", "x: |\n  New text.\n  Of three\n  lines.\nz: 1\n"),
        ("a.md", "Old text\nof two lines.\n", "New text.\nOf three\nlines.\n"),
        (
            "a.md",
            "# System\n\nOld text\nof two lines.\n\n# User\nOld.\n",
            "# System\n\nNew text.\nOf three\nlines.\n\n# User\nOld.\n",
        ),
        ("a.txt", "Old text\r\nof two lines.", "New text.\r\nOf three\r\nlines."),
    ],
)
def test_data_files_keep_their_form(tmp_path, file, source, wanted):
    if file.endswith("yaml"):
        pytest.importorskip("yaml")
    (tmp_path / file).write_bytes(source.encode())
    patch = make_patch([change_of(file, "Old text\nof two lines.", "New text.\nOf three\nlines.")], tmp_path)
    assert patch.failed == {}
    applied(patch.text, tmp_path)
    assert (tmp_path / file).read_bytes() == wanted.encode()


def test_files_with_other_line_ends_and_marks_are_kept(tmp_path):
    source = '\ufeffX = """Old\r\ntext here.\r\n"""\r\nY = 1'
    (tmp_path / "a.py").write_bytes(source.encode())
    patch = make_patch([change_of("a.py", "Old\ntext here.", "New\nwords\nhere.")], tmp_path)
    assert patch.failed == {}
    applied(patch.text, tmp_path)
    assert (tmp_path / "a.py").read_bytes() == source.replace("Old\r\ntext ", "New\r\nwords\r\n").encode()


def test_the_command_prints_a_patch_that_git_takes(tmp_path):
    (tmp_path / "app.py").write_text('SYSTEM = "You are the old clerk."\nLOST = 1\n')
    code = Parameter("app.SYSTEM", "You are the old clerk.", file="app.py", line=1, is_declared=False)
    lost = Parameter("app.LOST", "Gone from here.", file="app.py", line=2, is_declared=False)
    candidate = {"app.SYSTEM": "You are the new clerk.", "app.LOST": "Gone from there."}
    save_prompts(tmp_path / "prompts.json", candidate, [code, lost])
    line = [sys.executable, "-c", "from tracediff.cli import main; main()", "diff", "prompts.json", "--patch"]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "integrations")])
    env = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"app.LOST" in done.stderr
    assert b"app.SYSTEM" not in done.stderr
    applied(done.stdout, tmp_path)
    assert (tmp_path / "app.py").read_text() == 'SYSTEM = "You are the new clerk."\nLOST = 1\n'
