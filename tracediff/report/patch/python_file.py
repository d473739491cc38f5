"""The texts of prompts in a Python file: found by what the model reads, and put in another's place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tracediff.parameters import split
from tracediff.report.patch.change import Change
from tracediff.report.patch.expressions import TextExpression, text_expressions
from tracediff.report.patch.forms import Kind, NotKept, Part, forms, is_positional, pieces_of
from tracediff.report.patch.literals import Atom, Slot
from tracediff.report.patch.rewrite import rewritten
from tracediff.report.patch.shaping import reshaped

_FILLERS = frozenset({"format", "format_map", "from_template", "from_messages", "PromptTemplate", "ChatPromptTemplate"})
"""Calls that read ``{{`` in a text as one brace."""
_BRACES: frozenset[Kind] = frozenset({"raw", "format", "braced"})
_FILLS = re.compile(r"(\w*)[\"'\])]*\.format(?:_map)?\(")
_TEMPLATES = re.compile(r"\b\w*PromptTemplate\b|from_messages|from_template")
_KEEPERS = "llama_index"
"""The package whose templates fill in ``{name}`` of the names they are given and leave every other brace alone."""
_REPLACES = re.compile(r"\.replace\(\s*f?[\"']\{")


def python_changed(source: bytes, wanted: Sequence[Change]) -> tuple[bytes, dict[str, str]]:
    """Return the file with the new texts, and the reason for each name that could not be written.

    A text that is defined in several places is changed in each: they are one prompt.
    """
    expressions = text_expressions(source)
    failed = _disputed(wanted)
    plan: list[tuple[int, Change]] = []
    for prompt in _distinct(wanted):
        if prompt.name in failed:
            continue
        lines = _declaration(source, prompt.line) if prompt.is_declared else None
        numbers = [n for n, e in enumerate(expressions) if _is_within(e, lines) and _matches(e, prompt)]
        if not numbers:
            failed[prompt.name] = "its text is not in the file any more, or the program builds it in another way"
        plan += [(number, prompt) for number in (numbers[:1] if prompt.is_declared else numbers)]
    for number, prompt in sorted(plan, key=lambda step: -step[0]):
        if prompt.name in failed:
            continue
        try:
            source = rewritten(source, number, _value(text_expressions(source)[number], prompt, source))
        except NotKept as reason:
            failed[prompt.name] = str(reason)
    return source, failed


def _key(prompt: Change) -> tuple[str, int]:
    """Return the same for prompts that are the same texts of a file."""
    return " ".join(prompt.text.split()), prompt.line if prompt.is_declared else 0


def _distinct(wanted: Sequence[Change]) -> Iterator[Change]:
    """Yield the first prompt of each text."""
    seen: set[tuple[str, int]] = set()
    for prompt in wanted:
        if _key(prompt) not in seen:
            seen.add(_key(prompt))
            yield prompt


def _disputed(wanted: Sequence[Change]) -> dict[str, str]:
    """Return a reason for each prompt whose text is another prompt's, too, and is to become another one there."""
    first = {_key(prompt): prompt for prompt in reversed(wanted)}
    others = {_key(prompt): prompt for prompt in wanted if prompt.new != first[_key(prompt)].new}
    return {
        prompt.name: f"{first[key].name} and {others[key].name} are one text here and would become two"
        for prompt in wanted
        if (key := _key(prompt)) in others
    }


def _declaration(source: bytes, line: int) -> tuple[int, int]:
    """Return the lines of the function or statement that declares a prompt at this line."""
    best = (line, line)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt):
            continue
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        last = node.end_lineno or node.lineno
        is_whole = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign | ast.AnnAssign | ast.Expr)
        if is_whole and first <= line <= last:
            best = first, last
    return best


def _is_within(expression: TextExpression, lines: tuple[int, int] | None) -> bool:
    return lines is None or (lines[0] <= expression.line and expression.end_line <= lines[1])


def _matches(expression: TextExpression, prompt: Change) -> bool:
    return next(_readings(expression, prompt), None) is not None


def _readings(expression: TextExpression, prompt: Change) -> Iterator[tuple[Part, int]]:
    """Yield the parts of an expression that are the prompt, with the number of the first literal that is its."""
    text = expression.text
    for part in [_joined(expression.atoms)] if text is None else forms(text):
        if (first := first_literal(part, prompt)) is not None:
            yield part, first


def _joined(atoms: Sequence[Atom]) -> Part:
    """Return an f-string, or a sum, as one part; its fields are the slots' sources."""
    literals, fields = [""], list[str]()
    for atom in atoms:
        if isinstance(atom, Slot):
            fields.append(atom.source)
            literals.append("")
        else:
            literals[-1] += atom
    return Part("joined", 0, 0, tuple(pieces_of(literals, fields)), "".join)


def first_literal(part: Part, prompt: Change) -> int | None:
    """Return which literal of a part is the prompt's first; None when the part is another text.

    The model's text is that of the source but for whitespace. Slots at its edges may be cut off.
    """
    cores = [" ".join(literal.split()) for literal in part.literals]
    wanted = [" ".join(literal.split()) for literal in prompt.literals]
    first, last = 0, len(cores) - 1
    if len(wanted) != len(cores):
        while first < last and not cores[first]:
            first += 1
        while last > first and not cores[last]:
            last -= 1
    return first if cores[first : last + 1] == wanted else None


def _value(expression: TextExpression, prompt: Change, source: bytes) -> list[Atom]:
    """Return the expression's value with the prompt's new text in it. Raises NotKept."""
    readings = {part.kind: (part, first) for part, first in reversed(list(_readings(expression, prompt)))}
    text = expression.text
    if text is None:
        part, first = readings["joined"]
        slots = {slot.source: slot for slot in expression.atoms if isinstance(slot, Slot)}
        atoms: list[Atom] = []
        for number, piece in enumerate(new_pieces(part, first, prompt)):
            atoms += [slots[piece]] if number % 2 else list(piece)
        return atoms
    ways = [kind for kind in readings if kind in _BRACES]
    if len(ways) > 1 or (ways and _has_brace(prompt)):
        ways = [_way(expression, prompt, source.decode("utf-8", "replace"), has_fields="format" in readings)]
    kind = ways[0] if ways else next(iter(readings))
    if kind == "format" and kind not in readings:
        kind, prompt = "raw", _doubled(prompt)
    part, first = readings[kind] if kind in readings else readings["raw"]
    return list(part.written(text, new_pieces(part, first, prompt)))


def _has_brace(prompt: Change) -> bool:
    return any("{" in literal or "}" in literal for literal, _ in split(prompt.new, prompt.variables))


def _way(expression: TextExpression, prompt: Change, program: str, *, has_fields: bool) -> Kind:
    """Return how the program reads the braces of a text. Raises NotKept where that matters and is not known."""
    keeping = _keeping(program)
    if keeping.intersection(expression.callers):
        return "braced"
    filled = {match[1] for match in _FILLS.finditer(program)}
    is_filled = not filled.isdisjoint({expression.label, ""}) or not keeping.issuperset(_TEMPLATES.findall(program))
    is_replaced = bool(_REPLACES.search(program))
    if _FILLERS.intersection(expression.callers):
        return "format"
    if prompt.is_declared or not is_filled:
        return "braced"
    if has_fields and not is_replaced:
        return "format"
    if not _has_brace(prompt):
        return "braced"
    raise NotKept("the new text has braces, and whether the program reads them as fields is not certain")


def _keeping(program: str) -> frozenset[str]:
    """Return the names, as the program calls them, of templates that leave every brace but their fields' alone."""
    found = (node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.ImportFrom))
    imports = [node for node in found if (node.module or "").partition(".")[0] == _KEEPERS]
    return frozenset(alias.asname or alias.name for node in imports for alias in node.names)


def _doubled(prompt: Change) -> Change:
    """Return the prompt with every brace of its new text doubled that is not a variable's."""
    made = "".join(
        literal.replace("{", "{{").replace("}", "}}") + ("" if name is None else "{" + name + "}")
        for literal, name in split(prompt.new, prompt.variables)
    )
    return replace(prompt, new=made)


def new_pieces(part: Part, first: int, prompt: Change) -> list[str]:
    """Return the pieces of a part with the prompt's new text in place of the old. Raises NotKept."""
    count = len(prompt.literals)
    literals, slots = reshaped(
        part.literals[first : first + count], prompt.literals, prompt.slots, prompt.new, is_exact=prompt.is_declared
    )
    own = part.fields[first : first + count - 1]
    if slots != list(range(len(own))) and any(map(is_positional, own)):
        raise NotKept("its fields are filled in order, and the new text has another order")
    pieces = pieces_of(literals, [own[slot] for slot in slots])
    before = list(part.pieces[: 2 * first])
    after = list(part.pieces[2 * (first + count - 1) + 1 :])
    return [*before, *pieces, *after]
