"""Whether a prompt stands in a request in a form in which it is not recognised: then a candidate's text is not sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, pairwise
from typing import NamedTuple

from tracediff.discover.explain import Match, walk
from tracediff.discover.parameterfile import Discovered

_PROBE_WORDS, _PROBES = 5, 8


class _Probe(NamedTuple):
    """A run of five words from a parameter's literals."""

    parameter: str
    text: str
    inner: tuple[str, ...]
    """Its words but for the first and the last, which may be glued to others."""


class Rest:
    """What the matches of a text leave of it."""

    def __init__(self, text: str, matches: Sequence[Match[Discovered]]) -> None:
        self._text, self._matches = text, matches

    @cached_property
    def _split(self) -> list[list[str]]:
        """The words of each piece; of most texts nobody asks for them."""
        spans = sorted(span for match in walk(self._matches) for span in match.found.spans if span is not None)
        pieces, at = [], 0
        for start, end in spans:
            pieces.append(self._text[at:start])
            at = max(at, end)
        pieces.append(self._text[at:])
        return [piece.split() for piece in pieces if piece and not piece.isspace()]

    @cached_property
    def pairs(self) -> set[tuple[str, str]]:
        """Its words, each with the next."""
        return set(chain.from_iterable(map(pairwise, self._split)))

    @cached_property
    def flat(self) -> str:
        """Its pieces, whitespace collapsed."""
        return "\0".join(map(" ".join, self._split))


class Probes:
    """What the absence of parameters is noticed by; nothing for one with short literals."""

    def __init__(self, parameters: Iterable[Discovered]) -> None:
        self._by_pair: dict[tuple[str, str], list[_Probe]] = {}
        self._count: Counter[str] = Counter()
        probes = [probe for parameter in parameters for probe in _spread(list(_probes(parameter)))]
        used = Counter(pair for probe in probes for pair in pairwise(probe.inner))
        for probe in probes:
            rarest = min(pairwise(probe.inner), key=lambda pair: (used[pair], -len("".join(pair)), pair))
            self._by_pair.setdefault(rarest, []).append(probe)
            self._count[probe.parameter] += 1

    def seen(self, rest: Rest) -> list[str]:
        """Return the parameters of which half of the probes stand in ``rest``."""
        counts: Counter[str] = Counter()
        for pair in rest.pairs & self._by_pair.keys():
            for probe in self._by_pair[pair]:
                if probe.text in rest.flat:
                    counts[probe.parameter] += 1
        return sorted(name for name, count in counts.items() if 2 * count >= self._count[name])


def _spread(probes: list[_Probe]) -> list[_Probe]:
    """Return a few of many probes, from everywhere."""
    if len(probes) <= _PROBES:
        return probes
    return [probes[number * len(probes) // _PROBES] for number in range(_PROBES)]


def _probes(parameter: Discovered) -> Iterator[_Probe]:
    """Yield runs of words, spread over a parameter's literals."""
    for core in parameter.pattern.cores:
        words = core.split(" ")
        for at in range(0, len(words) - _PROBE_WORDS + 1, _PROBE_WORDS):
            run = words[at : at + _PROBE_WORDS]
            yield _Probe(parameter.name, " ".join(run), tuple(run[1:-1]))
