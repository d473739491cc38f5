"""Steps: the program's own functions between its model calls, recorded without a decorator.

A search, a merge or a parser stands between two calls of a model. Unseen, it would end every path of feedback there.
Its calls are recorded while it is in use: the function is wrapped where its module holds it, and put back afterwards.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from tracediff.capture.callsite import is_library
from tracediff.capture.names import first_paragraph, site_name
from tracediff.capture.sites import Site, traced, untraced
from tracediff.errors import UsageError


@dataclass(frozen=True, slots=True)
class Step:
    """A function of the program that is to be a node."""

    name: str
    """``module.qualname``."""
    kind: str = "function"
    """``function``, ``retriever`` or ``tool``."""
    role: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class _Holder:
    """A place that holds a function: a module, a class, or a plain list or dict of a module."""

    owner: Any
    key: Any

    def put(self, value: object) -> None:
        """Make the place hold ``value``."""
        if isinstance(self.owner, dict | list):
            self.owner[self.key] = value
        else:
            setattr(self.owner, self.key, value)


def functions_around(program: object) -> tuple[Step, ...]:
    """Return the functions and methods of the user's modules beside the program's own and below, by first place."""
    root = _root(program)
    if root is None:
        return ()
    found: dict[str, Step] = {}
    for function, _ in _held(_modules(root)):
        code = function.__code__
        step = Step(site_name(function), "function", first_paragraph(function), code.co_filename, code.co_firstlineno)
        found.setdefault(step.name, step)
    return tuple(found.values())


def _root(program: object) -> Path | None:
    """Return the folder of the program's outermost package, or of its module; None for a program of a library."""
    made = inspect.unwrap(program) if callable(program) else program
    inner: Any = getattr(made, "__func__", getattr(made, "func", made))  # a bound method, a partial
    owner = inner if isinstance(inner, FunctionType | type) else type(inner)
    module = sys.modules.get(getattr(owner, "__module__", "") or "")
    file = getattr(module, "__file__", None)
    if module is None or not file or is_library(file, module.__name__.partition(".")[0]):
        return None
    path = Path(file).absolute()
    depth = module.__name__.count(".") - (path.name != "__init__.py")
    return path.parents[max(depth, 0)] if module.__name__ != "__main__" else path.parent


def _modules(root: Path | None = None) -> Iterator[ModuleType]:
    """Yield the user's modules that are loaded, those below ``root`` if it is given."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__dict__", {}).get("__file__")
        if not isinstance(module, ModuleType) or not isinstance(file, str) or not file.endswith(".py"):
            continue
        if is_library(file, module.__name__.partition(".")[0]):
            continue
        if root is None or Path(file).absolute().is_relative_to(root):
            yield module


def _held(modules: Iterable[ModuleType]) -> Iterator[tuple[FunctionType, _Holder]]:
    """Yield the functions that are defined in ``modules``, undecorated ones only, with every place that holds them."""
    seen = list(modules)
    files = {module.__file__ for module in seen}
    for module in seen:
        for name, value in list(vars(module).items()):
            if isinstance(value, FunctionType):
                if _is_plain(value, files):
                    yield value, _Holder(module, name)
            elif type(value) in (dict, list):
                pairs = value.items() if isinstance(value, dict) else enumerate(value)
                for key, inner in list(pairs):
                    if isinstance(inner, FunctionType) and _is_plain(inner, files):
                        yield inner, _Holder(value, key)
            elif type(value) is type and value.__module__ == module.__name__:
                for attribute, inner in list(vars(value).items()):
                    if isinstance(inner, FunctionType) and _is_plain(inner, files) and attribute == inner.__name__:
                        yield inner, _Holder(value, attribute)


def _is_plain(function: FunctionType, files: set[str | None]) -> bool:
    """Tell whether a function is the user's, under its own name, and not recorded already."""
    name = function.__name__
    return (
        function.__code__.co_filename in files
        and untraced(function) is function
        and "<" not in function.__qualname__
        and (name == "__call__" or not name.startswith("__"))
    )


class _Wrapped:
    """The steps in use in this process, each with how many asked for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.steps: dict[Step, tuple[int, Callable[[], None]]] = {}


_wrapped = _Wrapped()


@contextmanager
def stepped(steps: Sequence[Step]) -> Iterator[None]:
    """Record the calls of these functions while the block runs.

    Raises:
        UsageError: There is no such function, or it is in use with another kind or role.
    """
    taken: list[Step] = []
    try:
        with _wrapped.lock:
            _take(steps, taken)
        yield
    finally:
        with _wrapped.lock:
            for step in reversed(taken):
                count, undo = _wrapped.steps.pop(step)
                if count > 1:
                    _wrapped.steps[step] = count - 1, undo
                else:
                    undo()


def _take(steps: Sequence[Step], taken: list[Step]) -> None:
    places: dict[str, list[tuple[FunctionType, _Holder]]] | None = None
    for step in steps:
        known = _wrapped.steps.get(step)
        if known is None:
            if any(other.name == step.name for other in _wrapped.steps):
                raise UsageError(f"the step {step.name} is in use with another kind or role in this process")
            if places is None:
                places = {}
                for function, holder in _held(_modules()):
                    places.setdefault(site_name(function), []).append((function, holder))
            known = 0, _wrap(step, places.get(step.name, ()))
        _wrapped.steps[step] = known[0] + 1, known[1]
        taken.append(step)


def _wrap(step: Step, places: Sequence[tuple[FunctionType, _Holder]]) -> Callable[[], None]:
    """Put a recording function in each place; return what puts the function back."""
    if not places:
        raise UsageError(
            f"there is no function {step.name} to record (from {step.file or 'the parameters file'}). Was it renamed, "
            "or decorated since? Run `tracediff discover` again, or delete the step from the parameters file"
        )
    recording = {id(function): _recording(step, function) for function, _ in places}
    for function, holder in places:
        holder.put(recording[id(function)])

    def undo() -> None:
        for function, holder in places:
            holder.put(function)

    return undo


def _recording(step: Step, function: FunctionType) -> Any:
    return traced(function, Site(step.name, step.kind, step.role, function))
