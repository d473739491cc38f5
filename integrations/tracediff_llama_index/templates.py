"""Templates that LlamaIndex fills in, told to ``tracediff.discover`` with the names of their slots.

Prompts that don't stand in the program's source are found by them: the framework's own, and those from a file or a
database. A template is told as its author wrote it, never filled in.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tracediff.capture.callsite import calling_site
from tracediff.capture.faults import faults
from tracediff.discover import FirstTime, add_template

_ROLES = {"assistant": "assistant", "model": "assistant", "chatbot": "assistant", "tool": "tool", "function": "tool"}
_CHAT = re.compile(
    r"\{%-?\s*chat\s+role\s*=\s*[\"'](?P<role>\w+)[\"']\s*-?%\}(?P<text>.*?)\{%-?\s*endchat\s*-?%\}", re.DOTALL
)
_REACT = ("tool_desc", "tool_names", "context")


class Text(NamedTuple):
    """One text of a template."""

    text: str
    variables: tuple[str, ...]
    role: str
    syntax: Any


def texts_of(template: Any) -> Iterator[Text]:
    """Yield the texts that a template of LlamaIndex is made of. What a model is said to have said is none."""
    given = tuple(getattr(template, "template_vars", None) or ())
    if isinstance(text := getattr(template, "template", None), str):
        yield Text(text, given, "prompt", "format")
    elif isinstance(text := getattr(template, "template_str", None), str):
        parts = [(found["role"], found["text"].strip("\n")) for found in _CHAT.finditer(text)]
        for role, part in parts or [("prompt", text)]:
            if role not in _ROLES:
                yield Text(part, tuple(name for name in given if name in part), role, "jinja")
    else:
        for message in getattr(template, "message_templates", ()):
            role = str(getattr(message.role, "value", message.role))
            for block in message.blocks if role not in _ROLES else ():
                part = getattr(block, "text", None)
                if isinstance(part, str) and part.strip():
                    yield Text(part, tuple(name for name in given if f"{{{name}" in part), role, "format")


_told = FirstTime()


def tell(template: Any) -> None:
    """Give a template's texts to the index. Never felt by the program."""
    try:
        if not _told.is_new(template):
            return
        purpose = str(getattr(kind := (template.metadata or {}).get("prompt_type", ""), "value", kind))
        is_own = purpose in ("", "custom")
        site = (calling_site() or "").replace("<locals>.", "") if is_own else ""
        name = site or ("llama_index" if not is_own else f"llama_index.{type(template).__name__}")
        for text in texts_of(template):
            called = f"{name}.{text.role}" if is_own else f"{name}.{purpose}.{text.role}"
            origin = f"llama_index {type(template).__name__}{'' if is_own else ' ' + purpose}"
            add_template(text.text, text.variables, called, origin, syntax=text.syntax)
    except Exception as fault:
        faults.note("reading a template of llama_index", fault)


def tell_agent(workflow: Any) -> None:
    """Give the system prompts of an agent, or of a team's agents, to the index as they stand now."""
    try:
        held = getattr(workflow, "agents", None)
        agents = list(held.values()) if isinstance(held, dict) else [workflow]
        for agent in agents:
            name = getattr(agent, "name", None)
            if isinstance(prompt := getattr(agent, "system_prompt", None), str):
                add_template(prompt, (), f"{name or 'agent'}.system", "llama_index agent", syntax="raw")
            formatter = getattr(agent, "formatter", None)
            if isinstance(header := getattr(formatter, "system_header", None), str):
                given = [slot for slot in _REACT if f"{{{slot}}}" in header]
                add_template(header, given, f"{name or 'agent'}.react_header", "llama_index ReAct header")
            if isinstance(context := getattr(formatter, "context", None), str) and context.strip():
                add_template(context, (), f"{name or 'agent'}.react_context", "llama_index ReAct header", syntax="raw")
    except Exception as fault:
        faults.note("reading an agent's prompt", fault)


def watch_class(owner: Any) -> list[Callable[[], None]]:
    """Tell the templates of a class when they are filled in; return what restores it."""
    return [_wrap(owner, name) for name in ("format", "format_messages") if name in vars(owner)]


def _wrap(owner: Any, name: str) -> Callable[[], None]:
    original = vars(owner)[name]

    @functools.wraps(original)
    def replaced(self: Any, *args: Any, **kwargs: Any) -> Any:
        tell(self)
        return original(self, *args, **kwargs)

    type.__setattr__(owner, name, replaced)

    def undo() -> None:
        if vars(owner).get(name) is replaced:  # else another tool's lies on it, and goes straight through
            type.__setattr__(owner, name, original)

    return undo
