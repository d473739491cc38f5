"""The backward pass: reverse topological, over all samples of a batch at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple, TypeAlias

from tracediff.autodiff.critic import ask_loss
from tracediff.autodiff.gradients import Gradient, GradientContext, Gradients
from tracediff.autodiff.losses import Loss
from tracediff.autodiff.rules import rule_for, unused_rules
from tracediff.autodiff.view import Seed, View, is_trained, place
from tracediff.autodiff.visits import Delivery, Outcome, Visit
from tracediff.engine import Engine, connect
from tracediff.errors import EngineUnavailable, UsageError
from tracediff.graph.graph import ParameterGraph
from tracediff.graph.model import Node
from tracediff.scores import Score

MAX_THREADS = 256
PASSED = "This sample passed with a score of {score:.3g}: keep what made it work."

Item: TypeAlias = "tuple[ParameterGraph, Loss | Score | float]"


class _Message(NamedTuple):
    """A gradient in a node's inbox."""

    order: tuple[int, int]
    """Position of the successor that sent it (losses after all nodes), then its place in that successor's answer."""
    gradient: Gradient
    is_settled: bool


@dataclass(frozen=True, slots=True)
class _Options:
    engine: Engine
    threshold: float
    retries: int


def backward(
    graph: ParameterGraph,
    loss: Loss | Score | float,
    engine: Engine | str,
    *,
    threshold: float = 1.0,
    retries: int = 2,
    max_in_flight: int | None = None,
) -> Gradients:
    """Return the gradients of one run: feedback for each trainable parameter, from the loss back through the graph.

    See ``backward_batch``. With one run an EngineUnavailable is raised, as no other sample's gradients are at stake.

    LLM-AutoDiff (arXiv 2501.16673), section 3.2.
    """
    gradients = backward_batch(
        [(graph, loss)], engine, threshold=threshold, retries=retries, max_in_flight=max_in_flight
    )
    for reason in gradients.failed.values():
        raise EngineUnavailable(reason)
    return gradients


def backward_batch(
    items: Iterable[Item],
    engine: Engine | str,
    *,
    threshold: float = 1.0,
    retries: int = 2,
    max_in_flight: int | None = None,
) -> Gradients:
    """Return the gradients of a batch of runs, in (sample order, call index, time) order whatever the timing.

    Every engine call starts as soon as the calls after it are answered, over all runs: the time is that of the longest
    chain, not of the number of nodes or samples. Visited are only nodes between a trainable parameter and a loss.

    Args:
        items: (graph, loss) of each run; a loss is a number, a Score or a Loss.
        engine: The critic, or its name such as ``openai:MODEL``; called from several threads.
        threshold: A loss with this score or more is passed: its run costs no engine call and leaves a note for each
            parameter if it has no other loss (eq. 12).
        retries: How often a malformed reply is asked for again.
        max_in_flight: Most engine calls at the same time; None for as many as can start (at most 256).

    Raises:
        NoRule: Before any engine call, for a node of a kind without a rule.
        EngineRefused: The engine will never answer; what was under way is dropped.
        UsageError: A user's rule raised or returned no feedback; the engine is none, or answered with no EngineReply.

    A run whose engine calls ended in EngineUnavailable is in ``Gradients.failed`` and has no gradients.
    """
    options = _Options(_critic(engine), threshold, retries)
    passes = [_Pass(graph, Loss.of(loss), options) for graph, loss in items]
    _drive(passes, max_in_flight or MAX_THREADS)
    return _gathered(passes)


def _critic(engine: Engine | str) -> Engine:
    """Return the engine that was given or named."""
    if isinstance(engine, str):
        return connect(engine)
    if not callable(engine):
        raise UsageError(f'an engine is a callable or a name such as "openai:MODEL", not {engine!r}')
    return engine


def _drive(passes: Sequence[_Pass], max_in_flight: int) -> None:
    """Run every pass to its end."""
    done: _Done = SimpleQueue()
    running = 0
    with ThreadPoolExecutor(max_in_flight, thread_name_prefix="tracediff-backward") as pool:

        def start(run: _Pass, steps: Iterable[_Step]) -> int:
            count = 0
            for step in steps:
                pool.submit(run.work(step)).add_done_callback(partial(_report, done, run, step))
                count += 1
            return count

        try:
            for run in passes:
                running += start(run, run.begin())
            while running:
                run, step, future = done.get()
                running -= 1
                try:
                    outcome = future.result()
                except EngineUnavailable as error:
                    run.failure = run.failure or f"{type(error).__name__}: {error}"
                else:
                    running += start(run, run.finish(step, outcome))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _report(done: _Done, run: _Pass, step: _Step, future: Future[Outcome]) -> None:
    """Hand a finished step to the driver's thread."""
    done.put((run, step, future))


_Step: TypeAlias = "Node | Seed"
_Done: TypeAlias = "SimpleQueue[tuple[_Pass, _Step, Future[Outcome]]]"


class _Pass:
    """The backward pass over one run; lives for one call, touched by the driver's thread only."""

    def __init__(self, graph: ParameterGraph, loss: Loss, options: _Options) -> None:
        self.view = View(graph, loss)
        self.options = options
        self.sample_id = graph.sample_id
        self.seeds, self.notes = place(self.view, options.threshold)
        self.notes += [
            f"{self.sample_id}: the rule of {site} was not used, as the calls within it are differentiated"
            for site in unused_rules(graph.nodes)
        ]
        self.nodes = self.view.path(self.seeds)
        self.rules = {node.id: rule_for(node) for node in self.nodes}
        self.by_id = {node.id: node for node in self.nodes}
        self.inbox: dict[str, list[_Message]] = {node.id: [] for node in self.nodes}
        self.waiting = dict.fromkeys(self.inbox, 0)
        """Node id -> how many successors and losses have not spoken yet."""
        self.outcomes: list[tuple[int, str, Outcome]] = []
        self.failure = ""
        for node in self.nodes:
            for source in self._sources(node):
                self.waiting[source] += 1
        for seed in self.seeds:
            if seed.node.id in self.waiting:
                self.waiting[seed.node.id] += 1

    def _sources(self, node: Node) -> Iterator[str]:
        """Yield the ids of the live sources of a node, each once."""
        yield from dict.fromkeys(item.source.id for item in self.view.inputs(node))

    def begin(self) -> Iterator[_Step]:
        """Yield the steps that can start: losses that need the engine, then nodes whose losses all spoke."""
        for seed in self.seeds:
            if seed.node.id not in self.waiting:
                continue
            if not seed.feedback:
                yield seed
                continue
            self._deliver(Delivery(seed.node, seed.feedback, seed.score), (seed.order, 0), self._loss_context(seed))
            yield from self._spoken([seed.node.id])

    def work(self, step: _Step) -> Callable[[], Outcome]:
        """Return the work of a step, for any thread; it changes nothing here."""
        engine, retries = self.options.engine, self.options.retries
        if isinstance(step, Seed):
            return lambda: Outcome() if self.failure else ask_loss(self.view, step, engine, retries)
        feedbacks = tuple(message.gradient for message in self._messages(step.id) if not message.is_settled)
        visit = Visit(self.view, step, feedbacks, self.view.inputs(step), engine, retries)
        rule = self.rules[step.id]
        return lambda: Outcome() if self.failure else rule(visit)

    def finish(self, step: _Step, outcome: Outcome) -> list[_Step]:
        """Take in what a step came to; return the steps that can start now."""
        order = step.order if isinstance(step, Seed) else self.view.position[step.id]
        label = f"{step.source} at {step.node.label}" if isinstance(step, Seed) else step.label
        self.outcomes.append((order, label, outcome))
        if self.failure:
            return []
        if outcome.deliveries:
            context = self._loss_context(step) if isinstance(step, Seed) else self.view.context(step)
            for at, delivery in enumerate(outcome.deliveries):
                self._deliver(delivery, (order, at), context)
        return list(self._spoken([step.node.id] if isinstance(step, Seed) else self._sources(step)))

    def _deliver(self, delivery: Delivery, order: tuple[int, int], context: GradientContext) -> None:
        """Put feedback into a node's inbox as a gradient."""
        target = delivery.target
        gradient = Gradient(target.label, delivery.text, delivery.score, self.sample_id, target.index, context)
        self.inbox[target.id].append(_Message(order, gradient, delivery.is_settled))

    def _spoken(self, ids: Iterable[str]) -> Iterator[_Step]:
        """Count one word less to wait for at each node; yield those to visit now, skip those with nothing to do."""
        pending = list(ids)
        while pending:
            id_ = pending.pop()
            self.waiting[id_] -= 1
            if self.waiting[id_]:
                continue
            node = self.by_id[id_]
            if self.view.inputs(node) and any(not message.is_settled for message in self.inbox[id_]):
                yield node
            else:
                pending += self._sources(node)

    def _messages(self, id_: str) -> list[_Message]:
        """Return a node's inbox in order, equal texts once."""
        found: dict[str, _Message] = {}
        for message in sorted(self.inbox[id_], key=lambda message: message.order):
            known = found.setdefault(message.gradient.feedback, message)
            if known.is_settled and not message.is_settled:
                found[message.gradient.feedback] = message
        return list(found.values())

    def _loss_context(self, seed: Seed) -> GradientContext:
        """Return what a loss is written about: the output that it scored."""
        return replace(
            self.view.context(seed.node), successor=seed.source, description="the metric's judgement of this output"
        )

    def node_gradients(self) -> Iterator[tuple[str, tuple[Gradient, ...]]]:
        """Yield (``sample_id/label``, gradients) of each node that got any, in topological order."""
        for node in reversed(self.nodes):
            if messages := self._messages(node.id):
                yield f"{self.sample_id}/{node.label}", tuple(message.gradient for message in messages)

    def parameter_gradients(self) -> Iterator[Gradient]:
        """Yield the gradients of the parameters, in order of call index and time; or their notes."""
        if not self.seeds:
            yield from self._passed()
        prompts = [node for node in self.nodes if is_trained(node)]
        for node in sorted(prompts, key=lambda node: (node.index, self.view.position[node.id])):
            assert node.parameter is not None
            for message in self._messages(node.id):
                yield replace(message.gradient, target=node.parameter.name)

    def _passed(self) -> Iterator[Gradient]:
        """Yield the note for each trained parameter of a run that passed (eq. 12)."""
        view = self.view
        if view.loss.score < self.options.threshold:
            return
        context = replace(view.context(view.graph.output), inputs={})
        text = PASSED.format(score=view.loss.score)
        prompts = {node.parameter.name: node for node in reversed(view.nodes) if node.parameter and is_trained(node)}
        for name, node in prompts.items():
            yield Gradient(name, text, view.loss.score, self.sample_id, node.index, context, is_note=True)


def _gathered(passes: Sequence[_Pass]) -> Gradients:
    """Return what the passes found, in the order of the samples; duplicates are merged."""
    parameters: dict[str, dict[tuple[str, str, int, str], Gradient]] = {}
    nodes: dict[str, tuple[Gradient, ...]] = {}
    failed: dict[str, str] = {}
    no_cause, unread, notes = [], [], []
    calls = 0
    for run in passes:
        outcomes = sorted(run.outcomes, key=lambda outcome: outcome[0])
        calls += sum(outcome.calls for _, _, outcome in outcomes)
        notes += run.notes
        if run.failure:
            failed[run.sample_id] = run.failure
            continue
        for gradient in run.parameter_gradients():
            key = (gradient.target, gradient.sample_id, gradient.index, gradient.feedback)
            parameters.setdefault(gradient.target, {}).setdefault(key, gradient)
        for label, gradients in run.node_gradients():
            nodes[label] = nodes.get(label, ()) + gradients
        no_cause += [f"{run.sample_id}/{label}" for _, label, outcome in outcomes if outcome.is_no_cause]
        unread += [f"{run.sample_id}/{label}: {outcome.unread}" for _, label, outcome in outcomes if outcome.unread]
    return Gradients(
        parameters={name: tuple(found.values()) for name, found in parameters.items()},
        nodes=nodes,
        engine_calls=calls,
        no_cause=tuple(no_cause),
        unread=tuple(unread),
        failed=failed,
        notes=tuple(notes),
    )
