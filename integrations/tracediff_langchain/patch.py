"""One installation for all of LangChain's packages: handler, finder, templates, other vendors' models.

LangChain is never imported from here: each part is put in when the program imports the module it belongs to.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeAlias

import wrapt

from tracediff.capture.enclosing import find_by
from tracediff.capture.faults import faults
from tracediff_langchain.handler import Handler
from tracediff_langchain.models import watch_models
from tracediff_langchain.steps import Steps
from tracediff_langchain.templates import tell_text, watch_agents, watch_class

Part: TypeAlias = "Callable[[Any], list[Callable[[], None]]]"
"""Puts something into an imported module and returns what takes it out."""


class Patch:
    """What is put in, and what takes it out again."""

    def __init__(self) -> None:
        self.is_on = True
        self._undo: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def install(self) -> None:
        """Put every part in, now or when its module is imported."""
        for module, part in self._parts().items():
            wrapt.register_post_import_hook(self._guarded(part), module)

    def undo(self) -> None:
        """Take everything out: each object is the one that stood there."""
        with self._lock:
            self.is_on = False
            while self._undo:
                self._undo.pop()()

    def _parts(self) -> dict[str, Part]:
        prompts = "langchain_core.prompts."
        return {
            "langchain_core.tracers.context": self._handler,
            "langchain_core.language_models.chat_models": lambda m: [watch_models(m.BaseChatModel)],
            "langchain_core.language_models.llms": lambda m: [watch_models(m.BaseLLM)],
            f"{prompts}prompt": lambda m: watch_class(m.PromptTemplate),
            f"{prompts}chat": lambda m: watch_class(m.ChatPromptTemplate),
            f"{prompts}few_shot": lambda m: [
                *watch_class(m.FewShotPromptTemplate),
                *watch_class(m.FewShotChatMessagePromptTemplate),
            ],
            f"{prompts}few_shot_with_templates": lambda m: watch_class(m.FewShotPromptWithTemplates),
            "langchain.agents.middleware.types": lambda m: watch_agents(m.ModelRequest),
            "langgraph.prebuilt.chat_agent_executor": self._react_agents,
        }

    def _guarded(self, part: Part) -> Callable[[Any], None]:
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

    @staticmethod
    def _react_agents(module: Any) -> list[Callable[[], None]]:
        """Tell the system prompts of agents that ``create_react_agent`` makes from now on."""
        original = module._get_prompt_runnable

        @functools.wraps(original)
        def replaced(prompt: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                tell_text(prompt, "agent.system", "langgraph agent")
            except Exception as fault:
                faults.note("reading an agent's prompt", fault)
            return original(prompt, *args, **kwargs)

        module._get_prompt_runnable = replaced

        def undo() -> None:
            if module._get_prompt_runnable is replaced:
                module._get_prompt_runnable = original

        return [undo]
