"""What is put into LlamaIndex, and what takes it out again.

LlamaIndex is never imported from here: each part is put in when the program imports the module it belongs to.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import wrapt

from tracediff.capture.enclosing import find_by
from tracediff.capture.faults import faults
from tracediff_llama_index.handler import Handler
from tracediff_llama_index.models import Models
from tracediff_llama_index.steps import Steps
from tracediff_llama_index.templates import watch_class

Part: TypeAlias = "Callable[[Any], list[Callable[[], None]]]"
"""Puts something into an imported module and returns what takes it out."""


class Patch:
    """Handlers at the root of the framework's instrumentation, templates, other vendors' models."""

    def __init__(self) -> None:
        self.is_on = True
        self._undo: list[Callable[[], None]] = []
        self._lock = threading.RLock()

    def install(self) -> None:
        """Put every part in, now or when its module is imported."""
        parts: dict[str, Part] = {
            "llama_index_instrumentation": self._handlers,
            "llama_index.core.prompts.base": lambda m: [
                undo for kind in (m.PromptTemplate, m.ChatPromptTemplate) for undo in watch_class(kind)
            ],
            "llama_index.core.prompts.rich": lambda m: watch_class(m.RichPromptTemplate),
            "llama_index.core.base.llms.base": self._models,
        }
        for module, part in parts.items():
            wrapt.register_post_import_hook(self._guarded(part), module)

    def undo(self) -> None:
        """Take everything out: each object is the one that stood there."""
        with self._lock:
            self.is_on = False
            while self._undo:
                self._undo.pop()()

    def _guarded(self, part: Part) -> Callable[[Any], None]:
        def apply(module: Any) -> None:
            with self._lock:
                if self.is_on:
                    self._undo += part(module)

        return apply

    @staticmethod
    def _handlers(module: Any) -> list[Callable[[], None]]:
        """Enter ours beside the user's handlers."""
        steps = Steps()
        handler = Handler(steps)
        spans = _span_handler(handler)
        events = _event_handler(handler)
        root = module.root_dispatcher
        root.span_handlers.append(spans)
        root.event_handlers.append(events)

        def leave() -> None:
            for held, ours in ((root.span_handlers, spans), (root.event_handlers, events)):
                held[:] = [kept for kept in held if kept is not ours]

        return [leave, find_by(steps.around)]

    @staticmethod
    def _models(module: Any) -> list[Callable[[], None]]:
        """Watch the models' classes, those there are and those to come."""
        base = module.BaseLLM
        models = Models(base)
        models.watch()
        original = vars(base).get("__pydantic_init_subclass__")

        def made(cls: Any, /, **kwargs: Any) -> None:
            super(base, cls).__pydantic_init_subclass__(**kwargs)  # type: ignore[misc]
            try:
                models.add(cls)
            except Exception as fault:
                faults.note("watching a model's class", fault)

        hook: Any = classmethod(made)
        if original is None:
            type.__setattr__(base, "__pydantic_init_subclass__", hook)

        def undo() -> None:
            models.undo()
            if vars(base).get("__pydantic_init_subclass__") is hook:
                type.__delattr__(base, "__pydantic_init_subclass__")

        return [undo]


def _span_handler(handler: Handler) -> Any:
    """Return a span handler of LlamaIndex that tells ours."""
    base = importlib.import_module("llama_index_instrumentation.span_handlers").BaseSpanHandler

    class TracediffSpanHandler(base):  # type: ignore[misc,valid-type]
        def span_enter(
            self, id_: str, bound_args: Any, instance: Any = None, parent_id: str | None = None, **_: Any
        ) -> None:
            handler.enter(id_, bound_args, instance, parent_id)

        def span_exit(self, id_: str, *_: Any, result: Any = None, **__: Any) -> None:
            handler.leave(id_, result)

        def span_drop(self, id_: str, *_: Any, err: BaseException | None = None, **__: Any) -> None:
            handler.drop(id_, err)

        def new_span(self, *_: Any, **__: Any) -> None:
            return None

        prepare_to_exit_span = prepare_to_drop_span = new_span

    return TracediffSpanHandler()


def _event_handler(handler: Handler) -> Any:
    """Return an event handler of LlamaIndex that tells ours of the ends of models' streams."""
    base = importlib.import_module("llama_index_instrumentation.event_handlers").BaseEventHandler

    class TracediffEventHandler(base):  # type: ignore[misc,valid-type]
        def handle(self, event: Any, **_: Any) -> None:
            kind = type(event).__name__
            if kind in ("LLMChatEndEvent", "LLMCompletionEndEvent"):
                handler.answered(event.span_id, event.response)
            elif kind == "ExceptionEvent":
                handler.broken(event.span_id, event.exception)

        async def ahandle(self, event: Any, **kwargs: Any) -> None:
            self.handle(event, **kwargs)

    return TracediffEventHandler()
