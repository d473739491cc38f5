"""A patch of the user's source with the optimized prompts in place, as ``git apply`` takes it."""

from __future__ import annotations

import codecs
import difflib
import io
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracediff.errors import UsageError
from tracediff.report.patch.change import Change
from tracediff.report.patch.forms import NotKept

_COOKIE = re.compile(r"[ \t\f]*#.*?coding[:=][ \t]*[-\w.]+")  # PEP 263


@dataclass(frozen=True, slots=True)
class Patch:
    """What is to be changed in the source."""

    text: bytes
    """A unified diff with paths from the folder it is made for; empty when nothing is changed."""
    failed: Mapping[str, str]
    """Prompt -> why its new text is not in the patch."""


def make_patch(changes: Sequence[Change], folder: Path) -> Patch:
    """Return the patch of the files below ``folder`` that puts every changed prompt into the source.

    Nothing is written. What can't be located, or not written so that it reads back, is in ``failed``.

    Raises:
        UsageError: The package that reads Python's source with its layout is not installed.
    """
    try:
        import libcst  # noqa: F401
    except ModuleNotFoundError:
        raise UsageError("a patch of Python source needs libcst: pip install 'tracediff[patch]'") from None
    failed: dict[str, str] = {}
    files: dict[Path, list[Change]] = {}
    root = folder.resolve()
    for change in changes:
        if change.new == change.text:
            continue
        path = (root / change.file).resolve()
        if not change.file:
            failed[change.name] = "where it stands in the source is not known"
        elif not path.is_relative_to(root):
            failed[change.name] = f"{change.file} is not below {root}: make the patch in the folder of the program"
        elif not path.is_file():
            failed[change.name] = f"there is no file {change.file} below {root}"
        else:
            files.setdefault(path, []).append(change)
    made = []
    for path in sorted(files):
        before = path.read_bytes()
        after, reasons = _changed(path, before, files[path])
        failed |= reasons
        made.append(_difference(path.relative_to(root).as_posix(), before, after))
    return Patch(b"".join(made), failed)


def _changed(path: Path, source: bytes, changes: Sequence[Change]) -> tuple[bytes, dict[str, str]]:
    from tracediff.report.patch.python_file import python_changed
    from tracediff.report.patch.text_file import text_changed

    where = f"{changes[0].file}: "
    if path.suffix == ".py":
        mark = codecs.BOM_UTF8 if source.startswith(codecs.BOM_UTF8) else b""
        try:
            encoding = tokenize.detect_encoding(io.BytesIO(source).readline)[0]
            if b"\n" not in source and b"\r" in source:
                failed = {
                    change.name: "its lines end as on the first Macintosh: git has no patch of it" for change in changes
                }
                made = source.removeprefix(mark)
            elif encoding.startswith("utf-8"):
                made, failed = python_changed(source.removeprefix(mark), changes)
            else:
                made, failed = _in_its_encoding(source, encoding, changes)
        except Exception as error:  # a file of another Python, or of another encoding
            return source, {change.name: f"{where}can't be read as Python: {error}" for change in changes}
        return mark + made, {name: where + reason for name, reason in failed.items()}
    failed = {}
    for prompt in changes:
        try:
            source = text_changed(source, path.suffix, prompt)
        except (NotKept, ValueError) as reason:
            failed[prompt.name] = f"{where}{reason}"
    return source, failed


def _in_its_encoding(source: bytes, encoding: str, changes: Sequence[Change]) -> tuple[bytes, dict[str, str]]:
    """Return a Python file of another encoding than UTF-8 with the new texts, in that encoding."""
    from tracediff.report.patch.python_file import python_changed

    failed = {c.name: f"the file is in {encoding}, which can't say all of it" for c in changes if _is_lost(c, encoding)}
    lines = source.decode(encoding).split("\n")
    at = next(number for number, line in enumerate(lines[:2]) if _COOKIE.match(line))
    cookie = lines[at]
    lines[at] = "# coding: utf-8" + "\r" * cookie.endswith("\r")
    kept = [change for change in changes if change.name not in failed]
    made, reasons = python_changed("\n".join(lines).encode(), kept)
    lines = made.decode().split("\n")
    lines[at] = cookie
    return "\n".join(lines).encode(encoding), failed | reasons


def _is_lost(change: Change, encoding: str) -> bool:
    try:
        change.new.encode(encoding)
    except UnicodeEncodeError:
        return True
    return False


def _difference(name: str, before: bytes, after: bytes) -> bytes:
    """Return the unified diff of one file; only a line feed ends a line, as git has it."""
    if before == after:
        return b""
    lines = difflib.diff_bytes(
        difflib.unified_diff, _lines(before), _lines(after), f"a/{name}".encode(), f"b/{name}".encode()
    )
    return f"diff --git a/{name} b/{name}\n".encode() + b"".join(_ended(lines))


def _lines(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _ended(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"
