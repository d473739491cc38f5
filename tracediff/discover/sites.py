"""Sites: which calls are the same step of the program. Never by line numbers alone (DISCOVER, key of a call site)."""

from __future__ import annotations

from collections.abc import Iterable

from tracediff.parameters import text_hash


def site_key(
    system: Iterable[str], first_user: Iterable[str], *, node: str = "", tools: tuple[str, ...] = (), model: str = ""
) -> str:
    """Return the key of a call: its templates by name, else the node or agent, its tools and the model."""
    named = [*sorted(set(system)), "|", *sorted(set(first_user))]
    if len(named) > 1:
        return text_hash("\n".join(named))
    return text_hash("\n".join(["", node, *tools, model]))
