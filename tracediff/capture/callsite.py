"""The user's code that made a call: what names the record of a patched client."""

from __future__ import annotations

import functools
import sys
import sysconfig
from pathlib import Path
from types import CodeType, FrameType, SimpleNamespace

from tracediff.capture.names import module_name

_OWN_PACKAGES = ("tracediff", "opentelemetry", "wrapt")
_BODIES = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
"""Frames of their own before Python 3.12, inlined since: never part of a name, so that versions agree."""


def calling_site(client: str = "") -> str | None:
    """Return ``module.qualname`` of the innermost user function on the stack, None where there is none.

    Frames of installed packages, of the standard library and of tracediff are skipped, and those of the package
    ``client``, which may lie beside the program's own code (a zip for a cloud function, ``pip install --target``).
    The search ends at an event loop: what lies below it started the loop, it did not make this call.
    """
    known = _frames.of(client)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code, module = frame.f_code, frame.f_globals.get("__name__", "")
        found = known.get(id(code))
        if found is None or found[0] is not code or found[1] != module:
            if len(known) >= _MAX_KNOWN:
                known.clear()
            found = known[id(code)] = (code, module, _verdict(frame, module, client))
        if (site := found[2]) is not _BELOW:
            return site
        frame = frame.f_back
    return None


_BELOW = ""
"""Stands for the name of a frame that is not the user's: the search goes on below it."""
_MAX_KNOWN = 4096


class _Frames:
    """What the frames of each code are: looking at a stack costs more than the rest of a record otherwise."""

    def __init__(self) -> None:
        self._known: dict[str, dict[int, tuple[CodeType, str, str | None]]] = {}

    def of(self, client: str) -> dict[int, tuple[CodeType, str, str | None]]:
        """Return id of a code -> (the code, held so that its id is not reused; its module; its verdict)."""
        known = self._known.get(client)
        return self._known.setdefault(client, {}) if known is None else known


_frames = _Frames()


def _verdict(frame: FrameType, module: str, client: str) -> str | None:
    """Return the name of a frame of the user's, ``_BELOW`` for one that is skipped, None for an event loop's."""
    if module == "asyncio.events":
        return None
    code, package = frame.f_code, module.partition(".")[0]
    if package == client or code.co_name in _BODIES or is_library(code.co_filename, package):
        return _BELOW
    spec = frame.f_globals.get("__spec__")
    name = _module_name(module, getattr(spec, "name", None), frame.f_globals.get("__file__"))
    return name if code.co_name == "<module>" else f"{name}.{code.co_qualname}"


@functools.lru_cache(maxsize=256)
def _module_name(name: str, spec_name: str | None, file: str | None) -> str:
    """Return the name that a module is imported by; finding a script's own costs more than the rest of a record."""
    spec = None if spec_name is None else SimpleNamespace(name=spec_name)
    return module_name({"__name__": name, "__spec__": spec, "__file__": file})


@functools.lru_cache(maxsize=4096)
def is_library(filename: str, package: str) -> bool:
    """Tell whether a file is not the user's."""
    if package.startswith(_OWN_PACKAGES) or filename.startswith("<frozen"):
        return True
    path = Path(filename)
    if not {"site-packages", "dist-packages"}.isdisjoint(path.parts):
        return True
    return any(path.is_relative_to(root) for root in _library_roots())


@functools.cache
def _library_roots() -> tuple[str, ...]:
    """Return the folders of the standard library."""
    paths = sysconfig.get_paths()
    return paths["stdlib"], paths["platstdlib"]
