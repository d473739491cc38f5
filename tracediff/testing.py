"""For tests of programs and rules: an engine with scripted replies, runs built by hand, a checker of backward rules.

Shipped to users; needs no test framework::

    run = RunBuilder("s1")
    task = run.prompt("app.task", "Count the objects.")
    answer = run.llm("app.answer:chat", "7", messages=[task, "I have two cats ..."])
    gradients = backward(run.graph(answer), 0.0, ScriptedEngine())
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tracediff.autodiff.gradients import Gradient, GradientContext
from tracediff.autodiff.rules import UserRule, checked
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.values import Value
from tracediff.engine import EngineReply, EngineRequest
from tracediff.graph.graph import ParameterGraph
from tracediff.graph.model import Edge, Node
from tracediff.parameters import Parameter, slots

Scripted: TypeAlias = "str | Mapping[str, Any] | EngineReply | Exception"
"""A reply: its text, a mapping that is sent as JSON, the whole reply, or what is raised."""


class ScriptedEngine:
    """An engine that answers from a script and keeps every request.

    Args:
        script: A function from request to reply; a sequence of replies in order of call; a mapping from a piece of the
            request's user part to the reply (the first piece that stands in it); or one reply for all. None answers
            every text that the schema asks for with ``change <its name>``.
        latency_s: How long each call takes.
    """

    def __init__(
        self,
        script: Callable[[EngineRequest], Scripted] | Sequence[Scripted] | Mapping[str, Scripted] | str | None = None,
        *,
        latency_s: float = 0.0,
    ) -> None:
        self.script = script
        self.latency_s = latency_s
        self.requests: list[EngineRequest] = []
        """Every request, in order of call."""
        self.in_flight = 0
        self.most_in_flight = 0
        """The greatest number of calls that ran at the same time."""
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return len(self.requests)

    def __call__(self, request: EngineRequest) -> EngineReply:
        """Answer one request from the script."""
        with self._lock:
            position = len(self.requests)
            self.requests.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.latency_s:
                time.sleep(self.latency_s)
            return _as_reply(self._scripted(request, position))
        finally:
            with self._lock:
                self.in_flight -= 1

    def _scripted(self, request: EngineRequest, position: int) -> Scripted:
        """Return what the script says to a request."""
        script = self.script
        if script is None:
            return feedback_for(request)
        if callable(script):
            return script(request)
        if isinstance(script, str):
            return script
        if isinstance(script, Mapping):
            for piece, reply in script.items():
                if piece in request.user:
                    return reply
            raise AssertionError(f"no piece of the script stands in the request:\n{request.user}")
        if position >= len(script):
            raise AssertionError(
                f"the script has {len(script)} replies; this is request {position + 1}:\n{request.user}"
            )
        return script[position]


def feedback_for(request: EngineRequest, text: str = "change {id}") -> dict[str, Any]:
    """Return a critic's reply with a text for every id that the request asks about."""
    properties = json.loads(request.schema or "{}").get("properties", {})
    ids = properties.get("feedback", {}).get("properties", properties)
    return {"feedback": {id_: text.replace("{id}", id_) for id_ in ids}, "no_cause": False}


def _as_reply(scripted: Scripted) -> EngineReply:
    """Return a scripted reply as the engine's, or raise it."""
    if isinstance(scripted, Exception):
        raise scripted
    if isinstance(scripted, EngineReply):
        return scripted
    return EngineReply(scripted if isinstance(scripted, str) else json.dumps(dict(scripted)))


class RunBuilder:
    """Records and graph of one run, made by hand.

    Each method adds a call and returns its node. An input that is a node, or a list or mapping that holds nodes, stands
    for what these put out, and becomes an edge.
    """

    def __init__(self, sample_id: str = "s1", *, run_id: str = "0" * 31 + "1") -> None:
        self.sample_id = sample_id
        self.run_id = run_id
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self._ticks = 0
        self._spans: list[tuple[int, int]] = []

    def prompt(self, name: str, text: str, /, *, trainable: bool = True, role: str = "", **inputs: Any) -> Node:
        """Add the reading of a prompt; ``inputs`` fill the ``{slots}`` of its text."""
        parameter = Parameter(name, text, variables=slots(text), role=role, trainable=trainable)
        filled = {key: _resolved(value) for key, value in inputs.items()}
        output = text
        for key, value in filled.items():
            output = output.replace("{" + key + "}", str(value))
        return self.call(name, output, kind="prompt", parameter=parameter, **inputs)

    def llm(self, name: str, output: Value, /, **options: Any) -> Node:
        """Add a call of a language model."""
        return self.call(name, output, kind="llm", **options)

    def call(
        self,
        name: str,
        output: Value,
        /,
        *,
        kind: str = "function",
        description: str = "",
        parameter: Parameter | None = None,
        error: str | None = None,
        parent: Node | None = None,
        skip: Mapping[str, Node] | None = None,
        attributes: Mapping[str, Value] | None = None,
        **inputs: Any,
    ) -> Node:
        """Add a call; ``skip`` states skip edges by argument."""
        index = sum(node.name == name for node in self.nodes)
        node = Node(
            id=f"{len(self.nodes) + 1:016x}",
            name=name,
            kind=kind,
            index=index,
            inputs={argument: _resolved(value) for argument, value in inputs.items()},
            output=output,
            parameter=parameter,
            description=description,
            error=error,
            parent=parent.id if parent else None,
            attributes=attributes or {},
        )
        for argument, value in inputs.items():
            self.edges += [Edge(source, node, argument, "identity", 1.0) for source in _nodes_in(value)]
        for argument, source in (skip or {}).items():
            self.edges.append(Edge(source, node, argument, "link", 1.0, kind="skip"))
        self.nodes.append(node)
        self._spans.append((self._ticks, self._ticks + 1))
        self._ticks += 2
        return node

    def graph(self, output: Node | Sequence[Node] | None = None, *, result: Value = None) -> ParameterGraph:
        """Return the graph as it was stated, nothing inferred.

        ``output`` is the node whose output is the run's (the last one by default); several are gathered in a node of
        kind ``output``. ``result`` is the final output unless it is that node's own.
        """
        nodes, edges = list(self.nodes), list(self.edges)
        if output is None:
            output = nodes[-1]
        if not isinstance(output, Node):
            gathered = list(output)
            result = [node.output for node in gathered] if result is None and gathered else result
            output = Node("output", "output", "output", 0, {"result": result}, result)
            nodes.append(output)
            edges += [Edge(source, output, "result", "identity", 1.0) for source in gathered]
        rank = {node.id: at for at, node in enumerate(nodes)}
        edges.sort(key=lambda edge: (rank[edge.target.id], rank[edge.source.id], edge.argument, edge.kind))
        parameters = {node.parameter.name: node.parameter for node in reversed(nodes) if node.parameter}
        return ParameterGraph(
            nodes=tuple(nodes),
            edges=tuple(edges),
            parameters=tuple(reversed(parameters.values())),
            output=output,
            result=output.output if result is None else result,
            run_id=self.run_id,
            sample_id=self.sample_id,
        )

    def records(self) -> tuple[SpanRecord, ...]:
        """Return the run as records in order of end, with a reference for each edge that is no skip edge."""
        return tuple(self._record(node, *span) for node, span in zip(self.nodes, self._spans, strict=True))

    def _record(self, node: Node, start: int, end: int) -> SpanRecord:
        refs = (edge for edge in self.edges if edge.target is node and edge.kind == "data")
        return SpanRecord(
            id=node.id,
            run_id=self.run_id,
            parent_id=node.parent,
            name=node.name,
            kind=node.kind,
            start=start,
            end=end,
            start_ns=start,
            end_ns=end,
            inputs=node.inputs,
            output=node.output,
            refs=tuple(Ref(edge.argument, edge.source.id, "", 1) for edge in refs),
            error=node.error,
            description=node.description,
            parameter=node.parameter,
            attributes=node.attributes or {},
        )


def _resolved(value: Any) -> Any:
    """Return a value with nodes replaced by what they put out."""
    match value:
        case Node():
            return value.output
        case list() | tuple():
            return type(value)(_resolved(item) for item in value)
        case dict():
            return {key: _resolved(item) for key, item in value.items()}
        case _:
            return value


def _nodes_in(value: Any) -> list[Node]:
    """Return the nodes that stand in a value, each once, in order."""
    match value:
        case Node():
            found = [value]
        case list() | tuple():
            found = [node for item in value for node in _nodes_in(item)]
        case dict():
            found = [node for item in value.values() for node in _nodes_in(item)]
        case _:
            found = []
    return list(dict.fromkeys(found))


def gradient(feedback: str, *, target: str = "node#0", score: float = 0.0, successor: str = "loss") -> Gradient:
    """Return a gradient as a rule gets it."""
    return Gradient(target, feedback, score, "s1", 0, GradientContext({}, "", successor, ""))


def check_rule(
    rule: UserRule, inputs: Mapping[str, Value], *, output: Value = "output", feedbacks: Sequence[str] = ("too long",)
) -> dict[str, str]:
    """Return what a backward rule gives back for one call, after checking that it is sound.

    Checked are: the rule returns a mapping from live arguments (the keys of ``inputs``) to texts; the same for the same
    call; it changes nothing that it was given; with one live input less it still works and says nothing of the missing
    one. Raises UsageError for a bad reply and AssertionError for the rest::

        check_rule(rerank_rule, {"query": "cats", "docs": ["a", "b"]})
    """
    given = {argument: copy.deepcopy(value) for argument, value in inputs.items()}
    node = Node("1", "site", "function", 0, given, output)
    gradients = tuple(gradient(text, target=node.label) for text in feedbacks)

    def once(live: Mapping[str, Value]) -> dict[str, str]:
        return checked(rule(node, gradients, dict(live)), node, live)

    first, second = once(given), once(given)
    assert first == second, f"the rule is not deterministic: {first!r}, then {second!r}"
    assert given == dict(inputs), "the rule changed its inputs"
    for argument in given:
        once({name: value for name, value in given.items() if name != argument})
    return first
