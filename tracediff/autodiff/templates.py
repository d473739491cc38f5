"""Meta-prompts: Jinja2 files with a ``system`` and a ``user`` block, rendered strictly, named by their hash."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tracediff.autodiff.payload import attribute, escape
from tracediff.parameters import text_hash

if TYPE_CHECKING:
    import jinja2


class Rendered(NamedTuple):
    """The two parts of a request."""

    system: str
    user: str


class PromptTemplate:
    """A meta-prompt file. Values go in as text and are never compiled; each is escaped on its way in.

    In a template, ``{{ value }}`` has the ``<`` of our tags escaped, ``{{ value | attribute }}`` stands between
    quotes, and a name that was not given raises.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def source(self) -> str:
        """The file's text."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the file: changing a meta-prompt changes the algorithm."""
        return text_hash(self.source)

    @cached_property
    def _template(self) -> jinja2.Template:
        import jinja2

        environment = jinja2.Environment(  # noqa: S701 - not HTML: `finalize` escapes what can end our tags
            undefined=jinja2.StrictUndefined,
            finalize=_finalize,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["attribute"] = attribute
        return environment.from_string(self.source)

    def render(self, /, **values: object) -> Rendered:
        """Return the system and user parts with ``values`` in place; raise jinja2.UndefinedError for a missing one."""
        context = self._template.new_context(values)
        system, user = (
            "".join(self._template.blocks[name](context)).strip() if name in self._template.blocks else ""
            for name in ("system", "user")
        )
        return Rendered(system, user)


def _finalize(value: object) -> object:
    """Return a value as it goes into the text: escaped if it is one."""
    return escape(value) if isinstance(value, str) else value


def bundled(name: str) -> PromptTemplate:
    """Return the meta-prompt ``name`` of the backward pass."""
    return PromptTemplate(Path(__file__).with_name("prompts") / f"{name}.jinja")
