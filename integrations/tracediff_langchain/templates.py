"""Templates that LangChain formats, told to ``tracediff.discover`` with the names of their slots.

Prompts that don't stand in the program's source (from a hub, a file, a database) are found by them. A template is told
as its author wrote it, never filled in.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tracediff.capture.callsite import calling_site
from tracediff.capture.faults import faults
from tracediff.discover import FirstTime, add_template

_SYNTAX: dict[str, Any] = {"f-string": "format", "jinja2": "jinja", "mustache": "jinja"}
_ROLES = {"HumanMessage": "user", "AIMessage": "assistant", "SystemMessage": "system"}
_UNSEEN = ("assistant", "tool")
"""Roles whose texts are never prompts: what a model or a tool is said to have said."""

_PARTS = ("messages", "prompt", "example_prompt")


class Text(NamedTuple):
    """One text of a template."""

    text: str
    variables: tuple[str, ...]
    role: str
    syntax: str
    """LangChain's name of it; empty for a text without fields."""


def texts_of(template: Any, role: str = "prompt") -> Iterator[Text]:
    """Yield the texts that a template of LangChain is made of, outermost first.

    What is filled in (a MessagesPlaceholder, partial variables, the values of examples) is data and has no text here.
    """
    if isinstance(template, list | tuple):
        for item in template:
            yield from texts_of(item, role)
        return
    if template is None or isinstance(template, str):
        return
    names = {base.__name__ for base in type(template).__mro__}
    if "BaseMessage" in names:
        role = _role(type(template), names)
        for text in _contents(template.content) if role not in _UNSEEN else ():
            yield Text(text, (), role, "")
    elif "BaseMessagePromptTemplate" in names or "BaseChatPromptTemplate" in names:
        if "MessagesPlaceholder" not in names:
            role = _role(type(template), names, role)
            examples = getattr(template, "example_prompt", None)
            parts = [
                *_listed(getattr(template, "messages", None)),
                *_listed(getattr(template, "prompt", None)),
                examples,
            ]
            if role not in _UNSEEN:
                yield from texts_of(parts, role)
    elif "BasePromptTemplate" in names:
        yield from _of_strings(template, role, names)


def _of_strings(template: Any, role: str, names: set[str]) -> Iterator[Text]:
    """Yield the texts of a template that makes one text."""
    syntax = getattr(template, "template_format", "f-string")
    given = tuple(getattr(template, "input_variables", ())) + tuple(getattr(template, "partial_variables", None) or ())
    found = [getattr(template, name, None) for name in ("prefix", "template", "suffix")]
    for text in found:
        if isinstance(text, str) and text.strip():
            yield Text(text, given, role, syntax)
    yield from texts_of(getattr(template, "example_prompt", None), role)
    if "PipelinePromptTemplate" in names:
        yield from texts_of([inner for _, inner in template.pipeline_prompts] + [template.final_prompt], role)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _contents(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            text = part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None
            if isinstance(text, str):
                yield text


def _role(kind: type, names: set[str], otherwise: str = "prompt") -> str:
    """Return the role of a message, or of what makes one."""
    for name, role in _ROLES.items():
        if any(found.startswith(name) for found in names):
            return role
    return "tool" if kind.__name__.startswith(("Tool", "Function")) else otherwise


_told = FirstTime()


def tell(template: Any) -> None:
    """Give a template's texts to the index. Never felt by the program."""
    try:
        if not _told.is_new(template):
            return
        origin, name = _origin(template)
        for text in texts_of(template):
            add_template(
                text.text, text.variables, f"{name}.{text.role}", origin, syntax=_SYNTAX.get(text.syntax, "raw")
            )
    except Exception as fault:
        faults.note("reading a template of langchain", fault)


def _origin(template: Any) -> tuple[str, str]:
    """Return where a template comes from, for a person, and what its texts are called by."""
    about = getattr(template, "metadata", None) or {}
    owner, repo = about.get("lc_hub_owner"), about.get("lc_hub_repo")
    if repo:
        return f"hub:{owner}/{repo}" if owner else f"hub:{repo}", f"hub.{repo}".replace("-", "_")
    site = (calling_site() or "").replace("<locals>.", "")
    return f"langchain {type(template).__name__}", site or type(template).__name__


def wrap(owner: Any, name: str, told: Callable[[Any, dict[str, Any]], None]) -> Callable[[], None] | None:
    """Have ``told(object, keywords)`` called before a method; return what restores it, None if there is none."""
    original = vars(owner).get(name)
    if original is None:
        return None
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def replaced(self: Any, *args: Any, **kwargs: Any) -> Any:
            told(self, kwargs)
            return await original(self, *args, **kwargs)

    else:

        @functools.wraps(original)
        def replaced(self: Any, *args: Any, **kwargs: Any) -> Any:
            told(self, kwargs)
            return original(self, *args, **kwargs)

    setattr(owner, name, replaced)

    def undo() -> None:
        if vars(owner).get(name) is replaced:  # else another tool's lies on it, and goes straight through
            setattr(owner, name, original)

    return undo


def watch_class(owner: Any) -> list[Callable[[], None]]:
    """Tell the templates of a class when they are formatted; return what restores it."""
    methods = ("format", "aformat", "format_messages", "aformat_messages")
    made = [wrap(owner, name, lambda template, _: tell(template)) for name in methods]
    return [undo for undo in made if undo is not None]


def watch_agents(owner: Any) -> list[Callable[[], None]]:
    """Tell the system prompt that an agent was made with, at each call of its model: also of agents built before.

    A request that a middleware changed is not read: what it says now may hold data.
    """

    def told(_request: Any, given: dict[str, Any]) -> None:
        try:
            if sys._getframe(2).f_code.co_filename.endswith("factory.py"):
                tell_text(given.get("system_message") or given.get("system_prompt"), "agent.system", "langchain agent")
        except Exception as fault:
            faults.note("reading an agent's prompt", fault)

    undo = wrap(owner, "__init__", told)
    return [] if undo is None else [undo]


def tell_text(prompt: Any, name: str, origin: str) -> None:
    """Give a text, or a message's, to the index as it stands."""
    for text in [prompt] if isinstance(prompt, str) else _contents(getattr(prompt, "content", None)):
        add_template(text, (), name, origin, syntax="raw")
