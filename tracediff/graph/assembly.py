"""Records of one run to its ParameterGraph: events in order of time, containers, the output rule, doubts."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.values import Value
from tracediff.errors import DataError
from tracediff.graph.calls import Call, Scalar, is_inside, leaves, ordered
from tracediff.graph.confidence import confidence
from tracediff.graph.explain import Explainer
from tracediff.graph.findings import Explanation, Finding
from tracediff.graph.graph import ParameterGraph
from tracediff.graph.links import Link, applied, doubts, stated
from tracediff.graph.model import Edge, Node
from tracediff.graph.reasons import Reason
from tracediff.graph.words import SHINGLE
from tracediff.parameters import Parameter

_END, _YIELD, _START, _AT_ONCE = range(4)
_RAN_INSIDE = "{owner} ran inside, nothing inside used its output, and the return has text of its own"
_RETURNED = "the output is the very object that it returned"
_UNUSED = "nothing used its output"


def build(
    records: Iterable[SpanRecord],
    *,
    output: Value = None,
    output_refs: Sequence[Ref] = (),
    sample_id: str = "",
    run_id: str = "",
    notes: Iterable[str] = (),
    links: Iterable[Link] | None = None,
    error: str = "",
) -> ParameterGraph:
    """Return the graph of one run: the same for any order of ``records``.

    ``output`` is the snapshot of the run's final output; None takes what the last outermost call returned.
    ``links`` default to what ``tracediff.link`` stated; ``error`` is what ended the program. Raises DataError when
    records of several runs come without ``run_id``.
    """
    kept = list(records)
    runs = sorted({record.run_id for record in kept})
    if run_id:
        kept = [record for record in kept if record.run_id == run_id]
    elif len(runs) > 1:
        raise DataError(
            f"these are records of {len(runs)} runs: {', '.join(runs[:3])}. No edge joins two runs: give run_id=."
        )
    elif runs:
        run_id = runs[0]
    is_collecting = gc.isenabled()
    gc.disable()  # inference makes no cycles, and so many numbers that the collector would run all the time
    try:
        assembly = _Assembly(ordered(kept))
        said = stated() if links is None else tuple(links)
        assembly.run(output, {ref.path: ref for ref in output_refs}, said)
        graph = assembly.graph(run_id, sample_id, [*notes, *doubts(said, kept)])
        return dataclasses.replace(graph, error=error) if error else graph
    finally:
        if is_collecting:
            gc.enable()


class _Assembly:
    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls
        self.explainer = Explainer(calls)
        self.found: dict[int, list[Finding]] = {}
        """Target -> findings; the run's output is target -1."""
        self.inputs: dict[int, Explanation] = {}
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.result: Value = None

    def run(self, output: Value, output_refs: Mapping[str, Ref], links: Iterable[Link]) -> None:
        """Replay the run and decide nodes, edges and output."""
        self._replay()
        if output is None:
            outermost = [call for call in self.calls if call.parent is None and call.record.error is None]
            if outermost:
                output = max(outermost, key=lambda call: call.record.end).record.output
        self.result = output
        final = self._final(output, output_refs)
        self.nodes = [self._node(call) for call in self.calls]
        self.edges = self._edges(self.nodes, links)
        self.output, more = self._output(self.nodes, output, final)
        if self.output.id not in {node.id for node in self.nodes}:
            self.nodes.append(self.output)
            self.edges += more

    def graph(self, run_id: str, sample_id: str, notes: list[str]) -> ParameterGraph:
        """Return the finished graph."""
        edges = self.edges
        ranked = _topological(self.nodes, edges)
        rank = {node.id: i for i, node in enumerate(ranked)}
        edges.sort(key=lambda edge: (rank[edge.target.id], rank[edge.source.id], edge.argument, edge.kind))
        return ParameterGraph(
            nodes=tuple(ranked),
            edges=tuple(edges),
            parameters=_parameters(self.calls),
            output=self.output,
            result=self.result,
            run_id=run_id,
            sample_id=sample_id,
            notes=tuple(dict.fromkeys([*notes, *self._unknown()])),
        )

    # -- the run, replayed ---------------------------------------------------------------------------------------

    def _replay(self) -> None:
        """Go through the run in order of sequence numbers: inputs are explained by what was known at their start."""
        events: list[tuple[int, int, int, int]] = []
        for call in self.calls:
            start, end = call.record.start, max(call.record.start, call.record.end)
            events.append((start, _START, call.position, 0))
            events.append((end, _END if end > start else _AT_ONCE, call.position, 0))
            events += [(at, _YIELD, call.position, item) for item, at in enumerate(call.yields()) if at >= start]
        for at, phase, position, item in sorted(events):
            call = self.calls[position]
            if phase == _START:
                explanation = self.explainer.explain(call, call.record.inputs, call.refs())
                self.inputs[position] = explanation
                if not call.children:
                    self.found[position] = explanation.findings
            elif phase == _YIELD:
                self._put_out(call, leaves(call.yielded(item), f"[{item}]"), at)
            else:
                self._end(call)

    def _end(self, call: Call) -> None:
        record = call.record
        yields = call.yields()
        found = [] if yields else leaves(record.output, "")
        if yields and isinstance(record.output, list) and all(isinstance(item, str) for item in record.output):
            found = [("", "".join(map(str, record.output)))]
        if record.error is not None:
            _, _, message = record.error.partition(": ")
            found.append(("error", message or record.error))
        self._put_out(call, found, record.end)
        if call.children and call.is_own:
            self.found[call.position] = self._inside(call)

    def _put_out(self, call: Call, found: list[tuple[str, Scalar]], since: int) -> None:
        """Note what a call has put out now; of a container only what has no other source."""
        if call.children:
            found = self._own(call, found)
            call.is_own |= bool(found)
        if not call.is_passing:
            self.explainer.note(call, found, since)

    def _own(self, call: Call, found: list[tuple[str, Scalar]]) -> list[tuple[str, Scalar]]:
        """Return the leaves of a container's output that neither its children nor its inputs explain."""
        own: list[tuple[str, Scalar]] = []
        inputs = {
            str(value).strip() for name in call.record.inputs for _, value in leaves(call.record.inputs[name], name)
        }
        for path, value in found:
            if isinstance(value, bool) or str(value).strip() in inputs:
                continue
            explanation = self.explainer.explain(None, {path or "output": value}, {})
            unknown = [stretch for name in explanation.unknown for stretch in explanation.stretches(name)]
            inside = any(is_inside(self.calls, item.source, call.position) for item in explanation.findings)
            if inside and all(stretch.end - stretch.start < SHINGLE for stretch in unknown):
                continue
            if explanation.is_whole and explanation.findings and len(str(value).split()) >= SHINGLE:
                continue
            own.append((path, value))
        return own

    def _inside(self, call: Call) -> list[Finding]:
        """Return the edges into a container with text of its own: unconsumed outputs inside, explained inputs."""
        members = self._members(call)
        consumed = {item.source for member in members for item in self.found.get(member, [])}
        findings = list(self.inputs[call.position].findings)
        for member in members:
            other = self.calls[member]
            if member in consumed or other.is_passing or (other.children and not other.is_own):
                continue
            findings.append(
                Finding(member, other.record.name, "inside", confidence("inside", "only"), Reason(_RAN_INSIDE))
            )
        return findings

    def _members(self, call: Call) -> list[int]:
        """Return the calls inside a container, in order; what is inside one with text of its own is that one's."""
        found: list[int] = []
        stack = list(call.children)
        while stack:
            member = stack.pop()
            found.append(member)
            if not (self.calls[member].children and self.calls[member].is_own):
                stack += self.calls[member].children
        return sorted(found)

    # -- nodes and edges -----------------------------------------------------------------------------------------

    def _node(self, call: Call) -> Node:
        record = call.record
        return Node(
            id=record.id,
            name=record.name,
            kind=record.kind,
            index=call.index,
            inputs=record.inputs,
            output=record.output,
            parameter=record.parameter,
            description=record.description,
            error=record.error,
            parent=None if call.parent is None else self.calls[call.parent].record.id,
            is_container=bool(call.children) and not call.is_own,
            attributes=record.attributes,
        )

    def _edges(self, nodes: list[Node], links: Iterable[Link]) -> list[Edge]:
        edges: list[Edge] = []
        for target, findings in sorted(self.found.items()):
            best: dict[tuple[int, str], Finding] = {}
            for item in findings:
                other = best.get((item.source, item.argument))
                if item.source != target and (other is None or item.confidence > other.confidence):
                    best[item.source, item.argument] = item
            edges += [_edge(nodes[item.source], nodes[target], item) for item in best.values()]
        for start, end, claim in applied(links, self.calls):
            place = f"{claim.target}.{claim.argument}"
            said = Reason("stated with {path}", f"link({claim.source!r}, {place!r}, kind={claim.kind!r})")
            new = Edge(nodes[start], nodes[end], claim.argument, "link", confidence("link", "only"), claim.kind, said)
            stated_for = (new.source, new.target, new.argument)
            edges = [edge for edge in edges if (edge.source, edge.target, edge.argument) != stated_for]
            edges.append(new)
        return edges

    # -- the output ----------------------------------------------------------------------------------------------

    def _final(self, output: Value, refs: Mapping[str, Ref]) -> list[Finding]:
        if output is None:
            return []
        ref = refs.get("output")
        if ref is not None and ref.source_path == "" and not isinstance(output, (str, int, float)):
            source = self.explainer.owner(None, ref, None)
            if source is not None:
                return [Finding(source, "output", "identity", confidence("identity", "only"), Reason(_RETURNED))]
        explanation = self.explainer.explain(None, {"output": output}, refs)
        has_text = any(isinstance(leaf, str) for _, leaf in leaves(output, "output"))
        if explanation.findings or (has_text and not explanation.unknown):  # known, if only from outside
            return explanation.findings
        used = {item.source for found in self.found.values() for item in found}
        return [
            Finding(call.position, "output", "inside", confidence("inside", "output"), Reason(_UNUSED))
            for call in self.calls
            if call.position not in used and call.is_own and not call.is_passing and call.record.output is not None
        ]

    def _output(self, nodes: list[Node], output: Value, final: list[Finding]) -> tuple[Node, list[Edge]]:
        sources = sorted({item.source for item in final})
        if len(sources) == 1:
            return nodes[sources[0]], []
        taken = {node.id for node in nodes}
        name = "output"
        while name in taken:
            name += "_"
        node = Node(name, "output", "output", 0, {"output": output}, output)
        best: dict[int, Finding] = {}
        for item in final:
            if item.source not in best or item.confidence > best[item.source].confidence:
                best[item.source] = item
        return node, [_edge(nodes[source], node, best[source]._replace(argument="output")) for source in sources]

    def _unknown(self) -> list[str]:
        """Return a doubt for each argument whose unexplained text varies between the calls of its site."""
        seen: dict[tuple[str, str], list[Explanation]] = {}
        for position, explanation in sorted(self.inputs.items()):
            call = self.calls[position]
            if call.children and not call.is_own:
                continue
            for argument in explanation.unknown:
                seen.setdefault((call.record.name, argument), []).append(explanation)
        found: list[str] = []
        for (name, argument), variants in seen.items():
            if len(variants) < 2:
                continue
            first, second = variants[0].stretches(argument), variants[1].stretches(argument)
            known = {stretch.numbers for stretch in first}
            varying = next((stretch for stretch in second if stretch.numbers not in known), None)
            if varying is not None:
                shown = " ".join(varying.text.split())[:60]
                found.append(
                    f"{name}, {argument}: text that varies between calls has no known source, such as {shown!r}"
                )
        return found


def _edge(source: Node, target: Node, item: Finding) -> Edge:
    return Edge(source, target, item.argument, item.evidence, item.confidence, "data", item.reason)


def _parameters(calls: list[Call]) -> tuple[Parameter, ...]:
    found: dict[str, Parameter] = {}
    for call in calls:
        if call.record.parameter is not None:
            found.setdefault(call.record.parameter.name, call.record.parameter)
    return tuple(found.values())


def _topological(nodes: list[Node], edges: list[Edge]) -> list[Node]:
    """Return the nodes sources first, by start where the edges leave a choice; drop edges that close a cycle."""
    order = {node.id: i for i, node in enumerate(nodes)}
    if all(order[edge.source.id] < order[edge.target.id] for edge in edges):
        return list(nodes)
    waiting = dict.fromkeys(order, 0)
    targets: dict[str, list[str]] = {}
    for edge in edges:
        waiting[edge.target.id] += 1
        targets.setdefault(edge.source.id, []).append(edge.target.id)
    ready = [order[name] for name, count in waiting.items() if not count]
    heapify(ready)
    ranked: list[Node] = []
    done: set[str] = set()
    while len(ranked) < len(nodes):
        if not ready:  # a cycle: break it at the call that started first
            ready.append(min(order[name] for name in order if name not in done))
        node = nodes[heappop(ready)]
        if node.id in done:
            continue
        done.add(node.id)
        ranked.append(node)
        for name in targets.get(node.id, ()):
            waiting[name] -= 1
            if not waiting[name] and name not in done:
                heappush(ready, order[name])
    rank = {node.id: i for i, node in enumerate(ranked)}
    edges[:] = [edge for edge in edges if rank[edge.source.id] < rank[edge.target.id]]
    return ranked
