"""Prompts that stand in no source: folded from the requests that hold them, for a person to decide on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tracediff.discover.folding import TEXTS, alike, fold
from tracediff.discover.parameterfile import Discovered
from tracediff.discover.pattern import Pattern, count_words
from tracediff.discover.requests import SYSTEM, TOOL, Place
from tracediff.discover.sites import fresh_name

_WORDS = 5
"""Words that a text needs to be a prompt."""


class Missing(NamedTuple):
    """A text of a request that the source does not explain."""

    group: str
    """Key of the call's site."""
    site: str
    """The user's function that sent it; empty where there is none."""
    place: Place
    beside: tuple[str, ...]
    """The other texts of the request."""


def unlocated(missing: Iterable[Missing], taken: Iterable[str]) -> Iterator[tuple[Discovered, tuple[str, ...]]]:
    """Yield what the texts of one step share, as prompts of status ``unlocated``, each with the texts it was made of.

    Three of them must differ. A system text that is always the same is a prompt where what stands beside it differs
    as often; a user's that is always the same is more likely the input of a demo.
    """
    names = set(taken)
    steps: dict[tuple[str, str], list[Missing]] = {}
    for item in missing:
        if item.place.role != TOOL:
            steps.setdefault((item.group, item.place.role), []).append(item)
    for (_, role), items in steps.items():
        for texts in alike(item.place.text for item in items):
            of = [item for item in items if item.place.text in texts]
            pattern = fold(texts)
            if pattern is None and role == SYSTEM and len(set(texts)) == 1 and _varies(of):
                pattern = Pattern((texts[0],), ()) if count_words(texts[0]) >= _WORDS else None
            if pattern is not None:
                found = _discovered(pattern, role, of, names)
                names.add(found.name)
                yield found, tuple(texts)


def _varies(items: list[Missing]) -> bool:
    return len({item.beside for item in items}) >= TEXTS


def _discovered(pattern: Pattern, role: str, items: list[Missing], names: set[str]) -> Discovered:
    sites = tuple(dict.fromkeys(item.site for item in items))
    text = pattern.literals[0] + "".join(
        f"{{{slot}}}{literal}" for slot, literal in zip(pattern.slots, pattern.literals[1:], strict=True)
    )
    return Discovered(
        fresh_name(f"{sites[0] or 'program'}.{role.split(maxsplit=1)[0]}", names),
        text,
        pattern.slots,
        "unlocated",
        role + (f" of {sites[0]}" if sites[0] else ""),
        sites=sites,
        note=f"stands in no source that was found; what {len(items)} requests share. Set trainable if it is a prompt",
    )
