"""Sites: which calls are the same step of the program. Never by line numbers alone (DISCOVER, key of a call site)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tracediff.parameters import text_hash


@dataclass(frozen=True, slots=True)
class Request:
    """What one call is recognised by."""

    system: Mapping[str, str]
    """Place of each template of the system text -> the function that it is written in; empty for none."""
    user: Mapping[str, str]
    """The same for the first user text."""
    node: str = ""
    """The user's function or the agent that makes the call."""
    line: int = 0
    tools: tuple[str, ...] = ()
    model: str = ""

    @property
    def key(self) -> str:
        """The templates; where there are none, the node, its tools and the model."""
        if self.system or self.user:
            return text_hash("\n".join([*sorted(self.system), "|", *sorted(self.user)]))
        return text_hash("\n".join(["", self.node, *self.tools, self.model]))


def site_keys(requests: Sequence[Request]) -> tuple[str, ...]:
    """Return the key of each call's site, in order: the same for calls that differ in optional parts only."""
    known: dict[str, list[Request]] = {}
    for request in requests:
        known.setdefault(request.key, []).append(request)
    parents = {key: key for key in known}

    def root(key: str) -> str:
        while parents[key] != key:
            key = parents[key]
        return key

    first = {key: found[0] for key, found in known.items()}
    places = {key: {(request.node, request.line, request.tools) for request in found} for key, found in known.items()}
    keys = list(known)
    for number, key in enumerate(keys):
        for other in keys[:number]:
            if not places[key].isdisjoint(places[other]) and _is_same_step(first[key], first[other]):
                parents[root(key)] = root(other)
                break
    return tuple(root(request.key) for request in requests)


def _is_same_step(one: Request, other: Request) -> bool:
    """Tell whether two calls from one line differ only in parts that a function may leave out or add."""
    shared = False
    for mine, theirs in ((one.system, other.system), (one.user, other.user)):
        different = [function for place, function in {**mine, **theirs}.items() if (place in mine) != (place in theirs)]
        is_shared = not mine.keys().isdisjoint(theirs)
        own = one.node.rpartition(".")[2]
        if not all(different) or (different and not is_shared and not _is_absent(mine, theirs, own)):
            return False
        shared = shared or is_shared
    return shared


def _is_absent(mine: Mapping[str, str], theirs: Mapping[str, str], node: str) -> bool:
    """Tell whether one side has no template, the other only such as the calling function has itself."""
    return not (mine and theirs) and all(function == node for function in {**mine, **theirs}.values())


def fresh_name(name: str, taken: set[str]) -> str:
    """Return ``name``, with a number where it is taken."""
    made, number = name, 1
    while made in taken:
        number += 1
        made = f"{name}_{number}"
    return made
