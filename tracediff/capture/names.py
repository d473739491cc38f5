"""Names of sites and parameters: ``module.qualname``, the same however the program was started."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

_MAIN = frozenset({"__main__", "__mp_main__"})


def module_name(namespace: Mapping[str, Any]) -> str:
    """Return the name that the module with these globals would be imported by.

    A script's ``__main__`` becomes the name of its file, with the packages it lies in, so that ``python app.py`` and
    ``app:program`` agree. In a notebook or a prompt there is no file, and ``__main__`` stays.
    """
    name = namespace.get("__name__")
    if not isinstance(name, str):
        return "__main__"
    if name not in _MAIN:
        return name
    spec = namespace.get("__spec__")
    if spec is not None and spec.name not in _MAIN:
        return str(spec.name)
    file = namespace.get("__file__")
    if not isinstance(file, str) or not file.endswith(".py"):
        return name
    from pathlib import Path  # for scripts only; `import tracediff` stays light

    path = Path(file).absolute()
    parts = [path.stem]
    for folder in path.parents:
        if not (folder / "__init__.py").is_file():
            break
        parts.append(folder.name)
    return ".".join(reversed(parts))


def site_name(function: Any) -> str:
    """Return ``module.qualname`` of a function or class."""
    namespace = getattr(function, "__globals__", None)
    module = getattr(function, "__module__", None) or "__main__"
    if module in _MAIN:
        if namespace is None:
            namespace = vars(sys.modules.get("__main__"))
        module = module_name({**namespace, "__name__": module})
    return f"{module}.{function.__qualname__}"


def first_paragraph(target: Any) -> str:
    """Return the first paragraph of a docstring on one line; empty where there is none of its own."""
    own = target.__dict__.get("__doc__") if inspect.isclass(target) else getattr(target, "__doc__", None)
    if not isinstance(own, str):
        return ""
    return " ".join(inspect.cleandoc(own).split("\n\n")[0].split())


def is_in_class(function: Any) -> bool:
    """True for a function that is defined in the body of a class: its first argument is the object or the class."""
    around, _, _ = getattr(function, "__qualname__", "").rpartition(".")
    return bool(around) and not around.endswith("<locals>")
