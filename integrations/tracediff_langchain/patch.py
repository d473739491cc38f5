"""One installation for all of LangChain's packages: handler, finder, templates, other vendors' models.

LangChain is never imported from here: each part is put in when the program imports the module it belongs to.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import wrapt

from tracediff.capture.enclosing import find_by
from tracediff_langchain.handler import Handler
from tracediff_langchain.steps import Steps


class Patch:
    """What is put in, and what takes it out again."""

    def __init__(self) -> None:
        self.is_on = True
        self._undo: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def install(self) -> None:
        """Put every part in, now or when its module is imported."""
        for module, part in (("langchain_core.tracers.context", self._handler),):
            wrapt.register_post_import_hook(self._guarded(part), module)

    def undo(self) -> None:
        """Take everything out: each object is the one that stood there."""
        with self._lock:
            self.is_on = False
            while self._undo:
                self._undo.pop()()

    def _guarded(self, part: Callable[[Any], list[Callable[[], None]]]) -> Callable[[Any], None]:
        def apply(module: Any) -> None:
            with self._lock:
                if self.is_on:
                    self._undo += part(module)

        return apply

    def _handler(self, module: Any) -> list[Callable[[], None]]:
        """Enter the handler where LangChain looks at every run: as a variable's default, so in every thread."""
        base = importlib.import_module("langchain_core.callbacks.base").BaseCallbackHandler
        steps = Steps()
        made = type("TracediffHandler", (Handler, base), {"__slots__": ()})(steps)
        variable: ContextVar[Any] = ContextVar("tracediff_handler", default=made)
        module.register_configure_hook(variable, inheritable=True)

        def leave() -> None:
            made.is_on = False
            module._configure_hooks[:] = [hook for hook in module._configure_hooks if hook[0] is not variable]

        return [leave, find_by(steps.around)]
