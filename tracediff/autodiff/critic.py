"""The critic: requests to the engine about one node or one loss, and the reading of its replies.

The form of a request is shared with ``tracediff.simulate``; payloads can't leave their tags.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tracediff.autodiff.payload import MAX_VALUE_CHARS, clip, output_text, share, text_of
from tracediff.autodiff.replies import Malformed, ask, read_object
from tracediff.autodiff.templates import PromptTemplate, bundled
from tracediff.autodiff.view import Input, Seed, View
from tracediff.autodiff.visits import Delivery, Outcome, Visit
from tracediff.engine import Engine, EngineRequest
from tracediff.graph.model import Node

LOSS = bundled("loss")
LLM_NODE = bundled("llm_node")
FUNCTION_NODE = bundled("function_node")

_WORTH_NAMING = 40
"""A shorter prompt text is shown again where it stands; a longer one by its id."""


class Entries(NamedTuple):
    """What a request asks about, by id."""

    inputs: Mapping[str, Input]
    prompts: Mapping[str, Node]


def shown_parameter(id_: str, node: Node) -> dict[str, object]:
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


def ask_critic(visit: Visit, template: PromptTemplate, entries: Entries, **values: object) -> Outcome:
    """Return the deliveries that one engine call (and its re-asks) makes to the entries."""
    node, view = visit.node, visit.view
    limit = share(len(entries.inputs) + len(node.inputs) + len(visit.feedbacks))
    shown = {id_: output_text(item.source.output, limit) for id_, item in entries.inputs.items()}
    rendered = template.render(
        name=node.name,
        call=node.index,
        description=view.description(node),
        inputs=[
            {
                "id": id_,
                "argument": item.argument,
                "source": item.source.label,
                "about": view.description(item.source),
                "kind": item.kind,
                "text": shown[id_],
            }
            for id_, item in entries.inputs.items()
        ],
        context=list(_context(node, set(shown.values()), entries.prompts, limit)),
        output=f"[the call raised {node.error}]" if node.error else output_text(node.output),
        feedbacks=[
            {
                "source": feedback.context.successor,
                "about": feedback.context.description,
                "score": feedback.score,
                "text": text_of(feedback.feedback, limit),
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


def _context(node: Node, shown: set[str], prompts: Mapping[str, Node], limit: int) -> Iterator[dict[str, str]]:
    """Yield the arguments that are not shown yet, with whole prompt texts as their ids."""
    for argument, value in node.inputs.items():
        text = text_of(value, limit)
        if not text or text in shown:
            continue
        for id_, prompt in prompts.items():
            whole = prompt.parameter.text if prompt.parameter else ""
            if len(whole) > _WORTH_NAMING and prompt.output == whole:
                text = text.replace(whole, f"[the text of {id_}]")
        yield {"argument": argument, "text": text}


def ask_loss(view: View, seed: Seed, engine: Engine, retries: int) -> Outcome:
    """Return the loss gradient of a loss without feedback: one engine call (eq. 3, 4)."""
    node = seed.node
    is_final = seed.source == "loss"
    rendered = LOSS.render(
        name=node.name,
        call=node.index,
        description=view.description(node),
        inputs=list(_context(node, set(), {}, share(len(node.inputs)))),
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
