"""Backward rules: one row per kind of node, as in autograd's ``defvjp``.

A rule takes a visit (a node, the feedback that reached its output, its live inputs) and returns what goes on to the
inputs. LLM-AutoDiff (arXiv 2501.16673), eq. 5 to 7 and 9, 10.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any, TypeAlias, TypeVar

from tracediff import capture
from tracediff.autodiff.critic import FUNCTION_NODE, LLM_NODE, Entries, ask_critic, shown_parameter
from tracediff.autodiff.gradients import Gradient
from tracediff.autodiff.view import Input, is_trained
from tracediff.autodiff.visits import Delivery, Outcome, Visit
from tracediff.capture.values import Value
from tracediff.errors import NoRule, UsageError
from tracediff.graph.model import Node

Rule: TypeAlias = Callable[[Visit], Outcome]
UserRule: TypeAlias = Callable[[Node, Sequence[Gradient], Mapping[str, Value]], Mapping[str, str | None]]
"""``fn(node, feedbacks, inputs) -> {argument: feedback text}``; ``inputs`` holds the live arguments only."""

R = TypeVar("R", bound=UserRule)

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


def defbackward(kind: str, *, like: str | None = None) -> Callable[[R], R]:
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

    def enter(rule: R) -> R:
        _row(kind)(_adapted(rule))
        return rule

    return enter


def known_kinds() -> tuple[str, ...]:
    """Return the kinds that have a rule, sorted."""
    return tuple(sorted(_RULES))


def rule_for(node: Node) -> Rule:
    """Return the rule of a node: its site's own (``functional_node(backward=...)``), else its kind's; raise NoRule."""
    own = capture.site_rule(node.name)
    if own is not None:
        return _adapted(own)
    if node.kind in _RULES:
        return _RULES[node.kind]
    raise NoRule(
        f"no backward rule for kind {node.kind!r} (node {node.label}{_place(node)}).\n"
        f"Known kinds: {', '.join(known_kinds())}. Give the node one of these kinds,\n"
        f'or register a rule: tracediff.defbackward("{node.kind}").'
    )


def unused_rules(nodes: Iterable[Node]) -> Iterator[str]:
    """Yield the sites with a rule of their own that is not used, because the calls within them have the edges."""
    yield from dict.fromkeys(node.name for node in nodes if node.is_container and capture.site_rule(node.name))


def _place(node: Node) -> str:
    """Return ``, file:line`` of the node's site where it is known."""
    if node.parameter is not None and node.parameter.file:
        return f", {node.parameter.file}:{node.parameter.line}"
    code = _code(node.name)
    return f", {code.co_filename}:{code.co_firstlineno}" if code else ""


def _code(site: str) -> CodeType | None:
    """Return the code of a site whose module is loaded."""
    parts = site.split(".")
    for at in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:at]))
        if found is not None:
            for part in parts[at:]:
                found = getattr(found, part, None)
            code = getattr(inspect.unwrap(found), "__code__", None) if callable(found) else None
            return code if isinstance(code, CodeType) else None
    return None


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


@_row("function", "retriever", "tool", "output")
def functional(visit: Visit) -> Outcome:
    """Return the feedback as it is with one live source (pass-through), else as one engine call divides it (eq. 7)."""
    if len({item.source.id for item in visit.inputs}) <= 1:
        return pass_through(visit)
    inputs = _distinct(visit.inputs)
    asked = {f"i{at}": item for at, item in enumerate(inputs, 1)}
    answers = Entries(asked, {})
    return ask_critic(visit, FUNCTION_NODE, answers, kind=visit.node.kind)


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
    parameters = [shown_parameter(id_, nodes[-1]) for id_, nodes in peers.items()]
    parameters += [shown_parameter("", node) for node in frozen.values()]
    return ask_critic(
        visit, LLM_NODE, Entries(asked, {id_: nodes[-1] for id_, nodes in peers.items()}), parameters=parameters
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
