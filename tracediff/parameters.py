"""Parameters: trainable texts with declared variables, and the contract that keeps them.

A text is literals plus ``{name}`` for each declared variable; every other brace is text. Rendering is
concatenation: no attribute access, no format specification, no logic, so a text that a model wrote is never compiled.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tracediff.errors import PromptsMismatch

Candidate: TypeAlias = Mapping[str, str]
"""One value for each parameter: parameter name -> text. Immutable by convention; never mutated by tracediff."""

_SLOT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A trainable text as the code declares it, or as a candidate has it."""

    name: str
    text: str
    variables: tuple[str, ...] = ()
    """Names that stand as ``{name}`` in the text, in order of first use."""
    role: str = ""
    """What the text is for, in the user's words; shown to the critic and to the optimizer."""
    instruction: str = ""
    """Extra guidance for the critic on this parameter."""
    trainable: bool = True
    frozen: tuple[str, ...] = ()
    """Parts of the text that a proposal must keep verbatim."""
    max_chars: int | None = None
    file: str = ""
    line: int = 0
    is_declared: bool = True
    """False for a text of the source that no code declares as a prompt."""

    @property
    def text_hash(self) -> str:
        """First 16 hex digits of the text's SHA-256."""
        return text_hash(self.text)


class TrainedText(str):
    """A text that was trained from a known text of the code; it may replace that one and no other.

    Candidates may hold it in place of a plain str. It never reaches the program: what is read from it is plain.
    """

    __slots__ = ("_judged", "code_hash", "code_text", "is_strict", "origin")

    code_text: str
    code_hash: str
    origin: str
    is_strict: bool
    _judged: str
    """The code's text that was seen to differ, so that the difference is shown once."""

    @classmethod
    def of(cls, text: str, code_text: str, code_hash: str, *, origin: str = "", is_strict: bool = False) -> TrainedText:
        """Return ``text`` as trained from ``code_text`` (of hash ``code_hash``), read from ``origin``."""
        made = cls(text)
        made.code_text, made.code_hash, made.origin, made.is_strict = code_text, code_hash, origin, is_strict
        made._judged = ""
        return made

    def for_code(self, name: str, code_text: str) -> str | None:
        """Return the plain text for a parameter whose code says ``code_text``; None when the code has changed since.

        Then it warns with the difference, once, or raises PromptsMismatch when strict.
        """
        if self._judged == code_text and not self.is_strict:
            return None
        if self.code_hash == text_hash(code_text):
            return str(self)
        import difflib

        difference = "\n".join(
            difflib.unified_diff(
                self.code_text.splitlines(), code_text.splitlines(), "code then", "code now", lineterm=""
            )
        )
        message = (
            f"the prompt {name!r} in {self.origin or 'the prompts file'} was trained from another text than the code "
            f"has now.\n{difference}\nOptimize again from the new text, or put the old one back."
        )
        if self.is_strict:
            raise PromptsMismatch(message)
        self._judged = code_text
        warnings.warn(message + " The code's text is kept.", stacklevel=4)
        return None


def text_hash(text: str) -> str:
    """First 16 hex digits of the SHA-256 of ``text`` (lone surrogates allowed)."""
    return data_hash(text.encode("utf-8", "surrogatepass"))


def data_hash(data: bytes) -> str:
    """First 16 hex digits of the SHA-256 of ``data``."""
    import hashlib  # here, so that `import tracediff` stays light

    return hashlib.sha256(data).hexdigest()[:16]


def split(text: str, variables: tuple[str, ...]) -> Iterator[tuple[str, str | None]]:
    """Yield (literal, variable that follows it or None at the end), in text order."""
    declared = frozenset(variables)
    start = position = 0
    while match := _SLOT.search(text, position):
        position = match.end()
        if match[1] in declared:
            yield text[start : match.start()], match[1]
            start = position
    yield text[start:], None


def render(text: str, values: Mapping[str, str]) -> str:
    """Return ``text`` with each ``{name}`` of ``values`` replaced by its value; every other brace stays.

    >>> render('{"q": "{q}", "n": {n}}', {"q": "{n}"})
    '{"q": "{n}", "n": {n}}'
    """
    parts: list[str] = []
    for literal, variable in split(text, tuple(values)):
        parts.append(literal)
        if variable is not None:
            parts.append(values[variable])
    return "".join(parts)


def slots(text: str) -> tuple[str, ...]:
    """Return every ``{identifier}`` in ``text``, each once, in order of first use."""
    return tuple(dict.fromkeys(_SLOT.findall(text)))


def violations(parameter: Parameter, text: object) -> list[str]:
    """Return what is wrong with ``text`` as a new value of ``parameter``, in words; empty when it may be used.

    Checked before any forward call is paid: variables kept and none invented, frozen parts verbatim, length.
    """
    if not isinstance(text, str):
        return [f"the text must be a string, not {type(text).__name__}"]
    if not text.strip():
        return ["the text is empty"]
    problems: list[str] = []
    present = slots(text)
    lost = [name for name in parameter.variables if name not in present]
    known = {*parameter.variables, *slots(parameter.text)}
    invented = [name for name in present if name not in known]
    if lost:
        problems.append("lost the variable " + ", ".join("{" + name + "}" for name in lost))
    if invented:
        problems.append("invented the variable " + ", ".join("{" + name + "}" for name in invented))
    for name in parameter.variables:
        was, now = (t.count("{" + name + "}") for t in (parameter.text, text))
        if now > max(was, 1):
            problems.append(f"repeats the variable {{{name}}} {now} times, expected {max(was, 1)}")
    problems += [f"changed the frozen part {part!r}" for part in parameter.frozen if part not in text]
    if parameter.max_chars is not None and len(text) > parameter.max_chars:
        problems.append(f"has {len(text)} characters, at most {parameter.max_chars} are allowed")
    return problems
