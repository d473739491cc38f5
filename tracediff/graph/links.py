"""Edges that the user states: ``td.link("combine", "planner.task", kind="skip")``."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tracediff.capture.records import SpanRecord
from tracediff.errors import UsageError
from tracediff.graph.calls import Call
from tracediff.graph.names import named

LinkKind: TypeAlias = Literal["data", "skip"]


@dataclass(frozen=True, slots=True)
class Link:
    """The output of every call of ``source`` goes to ``argument`` of the next call of ``target``."""

    source: str
    target: str
    argument: str
    kind: LinkKind


_LINKS: dict[tuple[str, str, str], Link] = {}


def link(source: str, target: str, *, kind: LinkKind = "data") -> None:
    """Return nothing; state that the output of site ``source`` goes to ``target``, written ``site.argument``.

    Sites are named in full or by any suffix after a dot, as long as it names one site of the run. In each run
    every call of the target site gets an edge from the nearest earlier call of the source site. ``"skip"`` marks an
    edge that jumps over calls in between (LLM-AutoDiff, arXiv 2501.16673, section 3.2); both kinds carry gradients.

    >>> link("combine", "planner.task", kind="skip")
    >>> unlink("combine", "planner.task")
    """
    site, dot, argument = target.rpartition(".")
    if not source or not dot or not site or not argument:
        raise UsageError(
            f"link({source!r}, {target!r}): the target must be written site.argument.\n"
            'Example: tracediff.link("combine", "planner.task")'
        )
    if kind not in ("data", "skip"):
        raise UsageError(f"link({source!r}, {target!r}): kind must be 'data' or 'skip', not {kind!r}")
    _LINKS[source, site, argument] = Link(source, site, argument, kind)


def unlink(source: str, target: str) -> None:
    """Take back what ``link`` stated; unknown links are ignored."""
    site, _, argument = target.rpartition(".")
    _LINKS.pop((source, site, argument), None)


def stated() -> tuple[Link, ...]:
    """Return the links stated in this process, in order."""
    return tuple(_LINKS.values())


def applied(links: Iterable[Link], calls: list[Call]) -> list[tuple[int, int, Link]]:
    """Return (source call, target call, link) for each target call with an earlier call of the source site.

    Raises UsageError when a suffix names several sites of the run.
    """
    sites = [call.record.name for call in calls]
    found: list[tuple[int, int, Link]] = []
    for item in links:
        source, target = _site(item.source, sites), _site(item.target, sites)
        if not source or not target:
            continue
        ended = sorted((call for call in calls if call.record.name == source), key=_end)
        for call in calls:
            if call.record.name == target:
                earlier = bisect_right(ended, call.record.start, key=_end)
                if earlier:
                    found.append((ended[earlier - 1].position, call.position, item))
    return found


def doubts(links: Iterable[Link], records: Collection[SpanRecord]) -> list[str]:
    """Return a note for each link that names a site or an argument which these records do not have."""
    sites = [record.name for record in records]
    found: list[str] = []
    for item in links:
        head = f"link({item.source!r}, '{item.target}.{item.argument}')"
        unknown = [said for said in (item.source, item.target) if not named(said, sites)]
        found += [f"{head}: no call of this run is named {said!r}" for said in unknown]
        if unknown:
            continue
        calls = [record for record in records if record.name in named(item.target, sites)]
        arguments = dict.fromkeys(argument for record in calls for argument in record.inputs)
        if arguments and item.argument not in arguments:
            known = ", ".join(arguments)
            found.append(f"{head}: {calls[0].name} has no argument {item.argument!r}; it has {known}")
    return found


def _end(call: Call) -> int:
    return call.record.end


def _site(said: str, sites: list[str]) -> str:
    found = named(said, sites)
    if len(found) > 1:
        raise UsageError(f"link: {said!r} names several sites of this run: {', '.join(found)}. Write one in full.")
    return found[0] if found else ""
