"""A parameter graph to look at: terminal tree, DOT, SVG and one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from importlib import resources
from typing import Any

from tracediff.autodiff.gradients import Gradient, Gradients
from tracediff.autodiff.payload import text_of
from tracediff.graph import Edge, Node, ParameterGraph
from tracediff.report.layout import arrange

DOUBTFUL = 0.75
"""Edges below this confidence are drawn dashed."""

_FILLS = {"prompt": "#fff3c4", "llm": "#d6e6ff", "retriever": "#d8f2dd", "tool": "#eadcfb", "output": "#f3f4f6"}
_CHAR_PX, _LINE_PX, _PAD_PX = 7.4, 17.0, 10.0
_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"
 font-family="Helvetica, Arial, sans-serif" font-size="13">
<defs>
<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 8 4 0 8z" fill="#64748b"/></marker>
<marker id="back" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 8 4 0 8z" fill="#dc2626"/></marker>
</defs>"""
_EXCERPT = 20_000
"""Characters of one value shown on the page; the records keep all."""


def terminal(text: str) -> str:
    """Return ``text`` with control characters made visible, so that pulled text can't drive the terminal."""
    return "".join(c if c in "\n\t" or (c.isprintable()) else f"\\x{ord(c):02x}" for c in text)


def tree(graph: ParameterGraph) -> str:
    """Return the graph as indented lines: each node, its parameter, and the edges that come in."""
    lines = []
    for node in graph.nodes:
        mark = " (result)" if node is graph.output else " (container)" if node.is_container else ""
        lines.append(f"{node.label}  [{node.kind}]{mark}")
        if node.parameter is not None:
            first = node.parameter.text.strip().splitlines()[0] if node.parameter.text.strip() else ""
            state = "" if node.parameter.trainable else ", not trainable"
            lines.append(f"    parameter {node.parameter.name}{state}: {_short(first, 70)}")
        if node.error:
            lines.append(f"    raised {_short(node.error, 90)}")
        lines.extend(
            f"    <- {edge.source.label} in {edge.argument or 'its text'}  {edge.evidence} {edge.confidence:.2f}"
            + (" ?" if edge.confidence < DOUBTFUL else "")
            + (" (skip)" if edge.kind == "skip" else "")
            for edge in graph.predecessors(node)
        )
    lines += [f"note: {note}" for note in graph.notes]
    return terminal("\n".join(lines))


def dot(graph: ParameterGraph) -> str:
    """Return the graph in Graphviz DOT."""
    ids = {node.id: f"n{i}" for i, node in enumerate(graph.nodes)}
    lines = ["digraph run {", "  node [shape=box, style=filled, fontname=Helvetica];"]
    for node in graph.nodes:
        label = _dot("\n".join(_caption(node)))
        lines.append(f'  {ids[node.id]} [label={label}, fillcolor="{_FILLS.get(node.kind, "#ffffff")}"];')
    for edge in graph.edges:
        style = "dashed" if edge.confidence < DOUBTFUL else "solid"
        label = _dot(f"{edge.argument} {edge.confidence:.2f}".strip())
        lines.append(f"  {ids[edge.source.id]} -> {ids[edge.target.id]} [label={label}, style={style}];")
    return "\n".join([*lines, "}", ""])


def svg(graph: ParameterGraph, gradients: Gradients | None = None) -> str:
    """Return the graph as one SVG image; red arrows run back where a gradient flowed."""
    nodes = {node.id: node for node in graph.nodes if not node.is_container}
    edges = [e for e in graph.edges if e.source.id in nodes and e.target.id in nodes]
    sizes = {}
    for key, node in nodes.items():
        caption = _caption(node)
        sizes[key] = (
            max(len(line) for line in caption) * _CHAR_PX + 2 * _PAD_PX,
            len(caption) * _LINE_PX + 2 * _PAD_PX,
        )
    layout = arrange(sizes, [(e.source.id, e.target.id) for e in edges])
    reached = _reached(graph, gradients)
    parts = [_HEAD.format(width=layout.width, height=layout.height)]
    for edge, route in zip(edges, layout.routes, strict=True):
        parts.append(_arrow(edge, route))
        if edge.source.label in reached and edge.target.label in reached | {graph.output.label}:
            back = [(x + 7, y) for x, y in reversed(route)]
            parts.append(
                f'<path class="gradient" d="{_curve(back)}" fill="none" stroke="#dc2626" stroke-width="1.4" '
                'stroke-dasharray="2 3" marker-end="url(#back)"/>'
            )
    for key, node in nodes.items():
        x, y = layout.boxes[key]
        parts.append(_box(node, x, y, sizes[key], is_result=node is graph.output))
    return "\n".join([*parts, "</svg>\n"])


def page(graph: ParameterGraph, gradients: Gradients | None = None, title: str = "") -> str:
    """Return one HTML page that needs nothing else: zoom with the wheel, drag to move, click a node for its values."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    script = resources.files("tracediff.report").joinpath("graph.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        loader=PackageLoader("tracediff.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("graph.html.jinja").render(
        title=title or f"run {graph.run_id[:8]}",
        graph=graph,
        svg=svg(graph, gradients),
        nodes=[_details(node, graph, gradients) for node in graph.nodes if not node.is_container],
        notes=graph.notes,
        script=script,
        script_hash=digest,
        has_gradients=gradients is not None,
    )


def _details(node: Node, graph: ParameterGraph, gradients: Gradients | None) -> dict[str, Any]:
    found: list[Gradient] = []
    if gradients is not None:
        found += gradients.nodes.get(f"{graph.sample_id}/{node.label}", ())
        if node.parameter is not None:
            found += [
                g
                for g in gradients.parameters.get(node.parameter.name, ())
                if g.sample_id == graph.sample_id and g.index == node.index
            ]
    return {
        "node": node,
        "inputs": {name: _excerpt(text_of(value)) for name, value in node.inputs.items()},
        "output": _excerpt(text_of(node.output)),
        "edges": [(edge, graph.explain(edge)) for edge in graph.predecessors(node)],
        "gradients": list(dict.fromkeys((g.score, g.feedback) for g in found)),
    }


def _reached(graph: ParameterGraph, gradients: Gradients | None) -> set[str]:
    """Labels of the nodes of this graph that a gradient reached, prompts included."""
    if gradients is None:
        return set()
    prefix = f"{graph.sample_id}/"
    labels = {key[len(prefix) :] for key, found in gradients.nodes.items() if key.startswith(prefix) and found}
    for node in graph.nodes:
        if node.parameter is not None and any(
            g.sample_id == graph.sample_id and g.index == node.index
            for g in gradients.parameters.get(node.parameter.name, ())
        ):
            labels.add(node.label)
    return labels


def _caption(node: Node) -> list[str]:
    lines = [_short(node.label, 44)]
    if node.parameter is not None:
        lines.append(
            ("parameter" if node.parameter.trainable else "fixed prompt") + f", {len(node.parameter.text)} chars"
        )
    else:
        lines.append(node.kind + (", raised" if node.error else ""))
    return lines


def _arrow(edge: Edge, route: Sequence[tuple[float, float]]) -> str:
    dash = ' stroke-dasharray="6 5"' if edge.confidence < DOUBTFUL else ""
    colour = "#a855f7" if edge.kind == "skip" else "#64748b"
    tip = html.escape(
        f"{edge.source.label} -> {edge.target.label} {edge.argument}: {edge.evidence} {edge.confidence:.2f}"
    )
    return (
        f'<path class="edge" d="{_curve(route)}" fill="none" stroke="{colour}" stroke-width="1.5"{dash} '
        f'marker-end="url(#tip)"><title>{tip}</title></path>'
    )


def _curve(route: Sequence[tuple[float, float]]) -> str:
    """SVG path through the points; vertical at every point, so arrows leave and enter boxes straight."""
    (x, y), *rest = route
    parts = [f"M{x:.1f} {y:.1f}"]
    for nx, ny in rest:
        half = (ny - y) / 2
        parts.append(f"C{x:.1f} {y + half:.1f} {nx:.1f} {ny - half:.1f} {nx:.1f} {ny:.1f}")
        x, y = nx, ny
    return " ".join(parts)


def _box(node: Node, x: float, y: float, size: tuple[float, float], *, is_result: bool) -> str:
    width, height = size
    stroke = "#dc2626" if node.error else "#0f172a" if is_result else "#94a3b8"
    lines = "".join(
        f'<text x="{x + width / 2:.1f}" y="{y + _PAD_PX + 13 + i * _LINE_PX:.1f}" text-anchor="middle" '
        f'fill="{"#0f172a" if i == 0 else "#475569"}">{html.escape(line)}</text>'
        for i, line in enumerate(_caption(node))
    )
    return (
        f'<g class="node" data-node="{html.escape(node.id)}" tabindex="0"><rect x="{x:.1f}" y="{y:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}" rx="7" fill="{_FILLS.get(node.kind, "#ffffff")}" stroke="{stroke}" '
        f'stroke-width="{2.2 if is_result else 1.2}"/>{lines}'
        f"<title>{html.escape(node.description or node.label)}</title></g>"
    )


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _excerpt(text: str) -> str:
    return (
        text
        if len(text) <= _EXCERPT
        else f"{text[:_EXCERPT]}\n… {len(text) - _EXCERPT:,} more characters in the record"
    )


def _dot(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
