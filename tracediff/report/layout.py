"""Layered drawing of a small directed acyclic graph (Sugiyama et al. 1981): layers, order in a layer, coordinates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

Box: TypeAlias = "tuple[float, float]"
"""(width, height) in pixels."""
Point: TypeAlias = "tuple[float, float]"

_GAP_X, _GAP_Y, _SWEEPS, _DUMMY_WIDTH = 28.0, 64.0, 8, 14.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands, in pixels from the top left."""

    boxes: Mapping[str, Point]
    """Node key -> its box's top left corner."""
    routes: Sequence[Sequence[Point]]
    """Per edge, in the order given: the points its curve passes, from source to target."""
    width: float
    height: float


def arrange(sizes: Mapping[str, Box], edges: Sequence[tuple[str, str]]) -> Layout:
    """Return a layered layout; sources on top. Edges that would close a cycle or leave the nodes are not allowed.

    ``sizes`` is in topological order (as ``graph.nodes`` is); the drawing is a pure function of its arguments.
    """
    depth = _depths(sizes, edges)
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for key in sizes:
        layers[depth[key]].append(key)
    chains = _chains(edges, depth, layers)
    _untangle(layers, chains)
    return _place(sizes, layers, chains)


def _depths(sizes: Mapping[str, Box], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Longest path from a source; a source then moves down to just above its first user, so that edges stay short."""
    after: dict[str, list[str]] = defaultdict(list)
    before: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)
    depth: dict[str, int] = {}
    for key in sizes:
        depth[key] = 1 + max((depth[source] for source in before[key]), default=-1)
    for key in reversed(list(sizes)):
        if not before[key] and after[key]:
            depth[key] = min(depth[target] for target in after[key]) - 1
    return depth


def _chains(edges: Sequence[tuple[str, str]], depth: Mapping[str, int], layers: list[list[str]]) -> list[list[str]]:
    """Per edge the keys it passes, one a layer; a long edge gets a dummy (a key with a tab) in every layer between."""
    chains = []
    for number, (source, target) in enumerate(edges):
        chain = [source]
        for layer in range(depth[source] + 1, depth[target]):
            dummy = f"\t{number}\t{layer}"
            layers[layer].append(dummy)
            chain.append(dummy)
        chains.append([*chain, target])
    return chains


def _untangle(layers: list[list[str]], chains: Sequence[Sequence[str]]) -> None:
    """Order each layer by the mean place of its neighbours, up and down in turn (barycentre heuristic)."""
    above: dict[str, list[str]] = defaultdict(list)
    below: dict[str, list[str]] = defaultdict(list)
    for chain in chains:
        for upper, lower in pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
    place = {key: float(i) for layer in layers for i, key in enumerate(layer)}
    for sweep in range(_SWEEPS):
        neighbours = below if sweep % 2 else above
        for layer in reversed(layers) if sweep % 2 else layers:
            means = {}
            for key in layer:
                around = neighbours[key]
                means[key] = sum(place[k] for k in around) / len(around) if around else place[key]
            layer.sort(key=means.__getitem__)
            place.update((key, float(i)) for i, key in enumerate(layer))


def _place(sizes: Mapping[str, Box], layers: list[list[str]], chains: Sequence[Sequence[str]]) -> Layout:
    widths = {key: sizes[key][0] if key in sizes else _DUMMY_WIDTH for layer in layers for key in layer}
    spans = [sum(widths[key] + _GAP_X for key in layer) - _GAP_X for layer in layers]
    total = max(spans, default=0.0)
    boxes: dict[str, Point] = {}
    middle: dict[str, tuple[float, float, float]] = {}  # centre x, top, bottom
    top = _GAP_X
    for layer, span in zip(layers, spans, strict=True):
        height = max((sizes[key][1] for key in layer if key in sizes), default=0.0)
        left = _GAP_X + (total - span) / 2
        for key in layer:
            own = sizes[key][1] if key in sizes else height
            y = top + (height - own) / 2
            if key in sizes:
                boxes[key] = (left, y)
            middle[key] = (left + widths[key] / 2, y, y + own)
            left += widths[key] + _GAP_X
        top += height + _GAP_Y
    routes = []
    for chain in chains:
        points: list[Point] = [(middle[chain[0]][0], middle[chain[0]][2])]
        for key in chain[1:-1]:
            x, upper, lower = middle[key]
            points += [(x, upper), (x, lower)]
        routes.append([*points, (middle[chain[-1]][0], middle[chain[-1]][1])])
    return Layout(boxes, routes, total + 2 * _GAP_X, max(top - _GAP_Y + _GAP_X, 2 * _GAP_X))
