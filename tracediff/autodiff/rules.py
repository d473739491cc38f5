"""Backward rules: one row per kind of node, as in autograd's ``defvjp``.

A rule takes a visit (a node, the feedback that reached its output, its live inputs) and returns what goes on to the
inputs. LLM-AutoDiff (arXiv 2501.16673), eq. 5 to 7 and 9, 10.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from tracediff.autodiff.gradients import Gradient
from tracediff.autodiff.payload import MAX_VALUE_CHARS, clip, output_text, text_of
from tracediff.autodiff.replies import Malformed, ask, read_object
from tracediff.autodiff.templates import PromptTemplate, bundled
from tracediff.autodiff.view import Input, Seed, View, is_trained
from tracediff.capture.values import Value
from tracediff.engine import Engine, EngineRequest
from tracediff.errors import NoRule, UsageError
from tracediff.graph.model import Node

LOSS = bundled("loss")
LLM_NODE = bundled("llm_node")
FUNCTION_NODE = bundled("function_node")


class Delivery(NamedTuple):
    """Feedback on its way to the output of an earlier node."""

    target: Node
    text: str
    score: float
    is_settled: bool = False
    """For the target's parameter alone: what the target read was judged in the same request."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a visit came to."""

    deliveries: tuple[Delivery, ...] = ()
    calls: int = 0
    """Engine calls."""
    is_no_cause: bool = False
    unread: str = ""
    """Why no usable reply came, if none came."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One node, when everything after it is done."""

    view: View
    node: Node
    feedbacks: tuple[Gradient, ...]
    """What reached the node's output, by position of the successor; losses last."""
    inputs: tuple[Input, ...]
    """The live inputs."""
    engine: Engine
    retries: int

    @property
    def score(self) -> float:
        """The lowest score among the feedbacks: what is said of the inputs is about that loss."""
        return min(feedback.score for feedback in self.feedbacks)


Rule: TypeAlias = Callable[[Visit], Outcome]
UserRule: TypeAlias = Callable[[Node, Sequence[Gradient], Mapping[str, Value]], Mapping[str, str]]
"""``fn(node, feedbacks, inputs) -> {argument: feedback text}``; ``inputs`` holds the live arguments only."""

_RULES: dict[str, Rule] = {}


def _row(*kinds: str) -> Callable[[Rule], Rule]:
    """Return a decorator that enters a rule for each of ``kinds``."""

    def enter(rule: Rule) -> Rule:
        for kind in kinds:
            if kind in _RULES:
                raise UsageError(f"there is a backward rule for kind {kind!r} already. Give your nodes another kind.")
            _RULES[kind] = rule
        return rule

    return enter


def defbackward(kind: str, *, like: str | None = None) -> Callable[[UserRule], UserRule]:
    """Return a decorator that makes a function the backward rule of your own kind of node.

    The function gets (node, feedbacks, inputs): the node, the gradients that reached its output, and the values of its
    live inputs by argument. It returns a mapping from argument to feedback text; leave out what is not at fault. With
    ``like`` the kind takes the rule of a known kind, at once and with nothing to decorate::

        @tracediff.defbackward("rerank")
        def rerank_rule(node, feedbacks, inputs):
            return {"query": f"After reranking: {feedbacks[0].feedback}"}

        tracediff.defbackward("search", like="retriever")

    Raises UsageError for a kind that has a rule.
    """
    if like is not None:
        if like not in _RULES:
            raise UsageError(f"no backward rule for kind {like!r} to copy. Known kinds: {', '.join(known_kinds())}.")
        _row(kind)(_RULES[like])
        return lambda rule: rule
    if kind in _RULES:
        raise UsageError(f"there is a backward rule for kind {kind!r} already. Give your nodes another kind.")

    def enter(rule: UserRule) -> UserRule:
        _row(kind)(_adapted(rule))
        return rule

    return enter


def known_kinds() -> tuple[str, ...]:
    """Return the kinds that have a rule, sorted."""
    return tuple(sorted(_RULES))


def rule_for(node: Node) -> Rule:
    """Return the rule of a node: its site's own (``functional_node(backward=...)``), else its kind's; raise NoRule."""
    own = _site_rule(node.name)
    if own is not None:
        return _adapted(own)
    if node.kind in _RULES:
        return _RULES[node.kind]
    raise NoRule(
        f"no backward rule for kind {node.kind!r} (node {node.label}{_place(node)}).\n"
        f"Known kinds: {', '.join(known_kinds())}. Give the node one of these kinds,\n"
        f'or register a rule: tracediff.defbackward("{node.kind}").'
    )


def _site_rule(name: str) -> UserRule | None:
    import tracediff.capture as capture

    find = getattr(capture, "site_rule", None)
    return find(name) if find else None


def _place(node: Node) -> str:
    """Return ``, file:line`` of the node's site where it is known."""
    attributes = node.attributes or {}
    file = attributes.get("code.file.path") or (node.parameter.file if node.parameter else "")
    line = attributes.get("code.line.number") or (node.parameter.line if node.parameter else "")
    return f", {file}:{line}" if file and line else f", {file}" if file else ""


# Rules ---------------------------------------------------------------------------------------------------------------


@_row("prompt")
def pass_through(visit: Visit) -> Outcome:
    """Return each feedback unchanged for every live input; no engine call.

    A prompt's parameter has its feedback by having been visited; what else reached the prompt's text goes to what
    stands in its slots.
    """
    sources = {item.source.id: item.source for item in visit.inputs}
    return Outcome(
        tuple(
            Delivery(source, feedback.feedback, feedback.score)
            for source in sources.values()
            for feedback in visit.feedbacks
        )
    )


@_row("function", "retriever", "tool", "container", "output")
def functional(visit: Visit) -> Outcome:
    """Return the feedback as it is with one live source (pass-through), else as one engine call divides it (eq. 7)."""
    if len({item.source.id for item in visit.inputs}) <= 1:
        return pass_through(visit)
    inputs = _distinct(visit.inputs)
    asked = {f"i{at}": item for at, item in enumerate(inputs, 1)}
    answers = _Entries(asked, {})
    return _ask(visit, FUNCTION_NODE, answers, kind=visit.node.kind)


@_row("llm")
def language_model(visit: Visit) -> Outcome:
    """Return what one engine call says of all peers and live inputs of a model call (eq. 5, 9, 10).

    A prompt's text and what stands in its slots are judged apart: the slots' live inputs are inputs of this call.
    """
    prompts, inputs = _look_through(visit)
    trained: dict[str, list[Node]] = {}
    frozen: dict[str, Node] = {}
    for node in prompts:
        if node.parameter is None:
            continue
        if is_trained(node):
            trained.setdefault(node.parameter.name, []).append(node)
        else:
            frozen.setdefault(node.parameter.name, node)
    peers = {f"p{at}": nodes for at, nodes in enumerate(trained.values(), 1)}
    asked = {f"i{at}": item for at, item in enumerate(_distinct(inputs), 1)}
    parameters = [_parameter(id_, nodes[-1]) for id_, nodes in peers.items()]
    parameters += [_parameter("", node) for node in frozen.values()]
    return _ask(
        visit, LLM_NODE, _Entries(asked, {id_: nodes[-1] for id_, nodes in peers.items()}), parameters=parameters
    )


def _look_through(visit: Visit) -> tuple[list[Node], list[Input]]:
    """Return the prompts that a call used, prompts within prompts included, and the live inputs beside and in them."""
    prompts: dict[str, Node] = {}
    inputs: list[Input] = []
    pending = [visit.node]
    while pending:
        node = pending.pop()
        for edge in visit.view.incoming(node):
            source = edge.source
            if source.kind == "prompt":
                if source.id not in prompts:
                    prompts[source.id] = source
                    pending.append(source)
            elif source.id in visit.view.trained:
                inputs.append(Input(edge.argument, source, edge.kind))
    in_order = visit.view.position
    return (
        sorted(prompts.values(), key=lambda node: in_order[node.id]),
        sorted(inputs, key=lambda item: in_order[item.source.id]),
    )


def _distinct(inputs: Sequence[Input]) -> list[Input]:
    """Return one input per source, the first; data before skip."""
    found: dict[str, Input] = {}
    for item in sorted(inputs, key=lambda item: item.kind == "skip"):
        found.setdefault(item.source.id, item)
    return [item for item in dict.fromkeys(inputs) if found[item.source.id] is item]


# Requests ------------------------------------------------------------------------------------------------------------


class _Entries(NamedTuple):
    """What a request asks about, by id."""

    inputs: Mapping[str, Input]
    prompts: Mapping[str, Node]


def _parameter(id_: str, node: Node) -> dict[str, object]:
    """Return a parameter as the request shows it."""
    parameter = node.parameter
    assert parameter is not None
    return {
        "id": id_,
        "name": parameter.name,
        "role": parameter.role or node.description,
        "instruction": parameter.instruction,
        "trainable": parameter.trainable,
        "text": clip(parameter.text, MAX_VALUE_CHARS),
    }


def _ask(visit: Visit, template: PromptTemplate, entries: _Entries, **values: object) -> Outcome:
    """Return the deliveries that one engine call (and its re-asks) makes to the entries."""
    node, view = visit.node, visit.view
    shown = {id_: output_text(item.source.output) for id_, item in entries.inputs.items()}
    rendered = template.render(
        name=node.name,
        call=node.index,
        description=node.description,
        inputs=[
            {
                "id": id_,
                "argument": item.argument,
                "source": item.source.label,
                "about": item.source.description,
                "kind": item.kind,
                "text": shown[id_],
            }
            for id_, item in entries.inputs.items()
        ],
        context=list(_context(node, set(shown.values()), entries.prompts)),
        output=f"[the call raised {node.error}]" if node.error else output_text(node.output),
        feedbacks=[
            {
                "source": feedback.context.successor,
                "about": feedback.context.description,
                "score": feedback.score,
                "text": text_of(feedback.feedback),
            }
            for feedback in visit.feedbacks
        ],
        score=view.verdict.score,
        final=view.verdict.final,
        expected=view.verdict.expected,
        **values,
    )
    ids = (*entries.prompts, *entries.inputs)
    outcome, texts = _feedback(visit.engine, rendered.system, rendered.user, ids, visit.retries)
    score = visit.score
    deliveries = [
        Delivery(entries.prompts[id_], texts[id_], score, is_settled=True) for id_ in entries.prompts if id_ in texts
    ]
    deliveries += [Delivery(item.source, texts[id_], score) for id_, item in entries.inputs.items() if id_ in texts]
    return Outcome(tuple(deliveries), outcome.calls, outcome.is_no_cause, outcome.unread)


def _context(node: Node, shown: set[str], prompts: Mapping[str, Node]) -> Iterator[dict[str, str]]:
    """Yield the arguments that are not shown yet, with whole prompt texts as their ids."""
    for argument, value in node.inputs.items():
        text = text_of(value)
        if not text or text in shown:
            continue
        for id_, prompt in prompts.items():
            rendered = prompt.output
            if (
                isinstance(rendered, str)
                and len(rendered) > 40
                and prompt.parameter
                and rendered == prompt.parameter.text
            ):
                text = text.replace(rendered, f"[the text of {id_}]")
        yield {"argument": argument, "text": text}


def ask_loss(view: View, seed: Seed, engine: Engine, retries: int) -> Outcome:
    """Return the loss gradient of a loss without feedback: one engine call (eq. 3, 4)."""
    node = seed.node
    is_final = seed.source == "loss"
    rendered = LOSS.render(
        name=node.name,
        call=node.index,
        description=node.description,
        inputs=list(_context(node, set(), {})),
        output=view.verdict.final if is_final else output_text(node.output),
        expected=view.verdict.expected if is_final else "",
        score=seed.score,
    )
    outcome, texts = _feedback(engine, rendered.system, rendered.user, ("output",), retries)
    deliveries = tuple(Delivery(node, text, seed.score) for text in texts.values())
    return Outcome(deliveries, outcome.calls, outcome.is_no_cause, outcome.unread)


def _feedback(
    engine: Engine, system: str, user: str, ids: Sequence[str], retries: int
) -> tuple[Outcome, Mapping[str, str]]:
    """Return what asking came to, and the feedback by id: only entries that name a fault."""
    request = EngineRequest("backward", system, user, schema_name="feedback", schema=reply_schema(ids))
    answer = ask(engine, request, lambda text: read_feedback(text, ids), retries=retries)
    if isinstance(answer.value, Malformed):
        return Outcome(calls=answer.calls, unread=answer.value.reason), {}
    return Outcome(calls=answer.calls, is_no_cause=not answer.value), answer.value


def reply_schema(ids: Sequence[str]) -> str:
    """Return the JSON schema of a reply about ``ids`` as canonical JSON text."""
    texts = {
        "type": "object",
        "properties": {id_: {"type": "string"} for id_ in ids},
        "required": list(ids),
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "properties": {"feedback": texts, "no_cause": {"type": "boolean"}},
        "required": ["feedback", "no_cause"],
        "additionalProperties": False,
    }
    return json.dumps(schema, sort_keys=True, separators=(",", ":"))


def read_feedback(text: str, ids: Sequence[str]) -> Mapping[str, str] | Malformed:
    """Return feedback by id from a critic's reply, faults only; nothing if it says that it found no cause."""
    found = read_object(text, ("feedback",))
    if isinstance(found, Malformed):
        return found
    if found.get("no_cause") is True:
        return {}
    entries: Any = found["feedback"]
    if not isinstance(entries, dict):
        return Malformed('"feedback" must be an object with one text for each id')
    unknown = [key for key in entries if key not in ids]
    if unknown and not any(id_ in entries for id_ in ids):
        return Malformed(f"{json.dumps(unknown[0])} is no id of the request; the ids are {', '.join(ids)}")
    wrong = next((id_ for id_ in ids if not isinstance(entries.get(id_), str | None)), None)
    if wrong is not None:
        return Malformed(f'the feedback for "{wrong}" must be a text')
    return {id_: entries[id_].strip() for id_ in ids if (entries.get(id_) or "").strip()}


# Rules of users ------------------------------------------------------------------------------------------------------


def _adapted(rule: UserRule) -> Rule:
    """Return a user's rule as a rule of the table: what it returns is checked, then delivered."""

    def visited(visit: Visit) -> Outcome:
        node = visit.node
        values = {item.argument: node.inputs.get(item.argument, item.source.output) for item in visit.inputs}
        try:
            found = rule(node, visit.feedbacks, values)
        except Exception as error:
            raise UsageError(
                f"the backward rule of {node.label}{_place(node)} raised {type(error).__name__}: {error}"
            ) from error
        texts = checked(found, node, values)
        return Outcome(
            tuple(
                Delivery(item.source, texts[item.argument], visit.score)
                for item in visit.inputs
                if item.argument in texts
            )
        )

    return visited


def checked(found: object, node: Node, live: Mapping[str, object]) -> dict[str, str]:
    """Return what a user's rule returned, without empty texts; raise UsageError when it is no feedback."""
    rule = f"the backward rule of {node.label}{_place(node)}"
    if not isinstance(found, Mapping):
        raise UsageError(f"{rule} returned {type(found).__name__}, expected a mapping from argument to feedback text.")
    for argument, text in found.items():
        if argument not in live:
            raise UsageError(
                f"{rule} returned feedback for {argument!r}, which is no live input of this call.\n"
                f"Live inputs: {', '.join(live) or 'none'}. Return feedback for keys of `inputs` only."
            )
        if not isinstance(text, str | None):
            raise UsageError(f"{rule} returned {type(text).__name__} for {argument!r}, expected a text.")
    return {argument: text for argument, text in found.items() if text and text.strip()}
