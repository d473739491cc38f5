"""One span of another instrumentation: what kind of call it is, what went in and what came out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tracediff import attributes as keys
from tracediff.capture.values import Value
from tracediff.graph.otlpjson import Span


@dataclass(frozen=True, slots=True)
class Said:
    """What a span says of its call."""

    kind: str
    name: str
    inputs: Mapping[str, Value]
    output: Value
    attributes: Mapping[str, Value] = field(default_factory=dict)

    @property
    def has_content(self) -> bool:
        """It says what went in or what came out."""
        return bool(self.inputs) or self.output is not None


_MODEL_OPERATIONS = ("chat", "text_completion", "generate_content", "completion")
_KINDS = {
    "LLM": "llm", "TOOL": "tool", "RETRIEVER": "retriever", "CHAIN": "function", "AGENT": "function",
    "RERANKER": "function", "GUARDRAIL": "function", "EVALUATOR": "function", "PROMPT": "function",
    "workflow": "function", "task": "function", "agent": "function", "tool": "tool",
    "execute_tool": "tool", "retrieval": "retriever", "invoke_agent": "function", "invoke_workflow": "function",
}  # fmt: skip
"""Span kinds of OpenInference and OpenLLMetry, and GenAI operations, that are no model call's -> record kind."""
_FIGURES = {
    "llm.model_name": keys.RESPONSE_MODEL,
    "llm.token_count.prompt": keys.USAGE_INPUT_TOKENS,
    "llm.token_count.completion": keys.USAGE_OUTPUT_TOKENS,
    "llm.token_count.prompt_details.cache_read": keys.USAGE_CACHE_READ_TOKENS,
    "llm.token_count.completion_details.reasoning": keys.USAGE_REASONING_TOKENS,
    "gen_ai.usage.prompt_tokens": keys.USAGE_INPUT_TOKENS,
    "gen_ai.usage.completion_tokens": keys.USAGE_OUTPUT_TOKENS,
    "gen_ai.usage.reasoning_tokens": keys.USAGE_REASONING_TOKENS,
    "gen_ai.system": keys.PROVIDER_NAME,
    "llm.system": keys.PROVIDER_NAME,
}
"""Other names for what the conventions name today."""


def read_span(span: Span) -> Said | None:
    """Return what a foreign span says; None when it is no call of a model, a tool, a retriever or a known step."""
    said = span.attributes
    operation = str(said.get(keys.OPERATION_NAME) or said.get("llm.request.type") or "")
    named = said.get("openinference.span.kind") or said.get("traceloop.span.kind") or operation
    if named == "LLM" or operation in _MODEL_OPERATIONS or (not named and _is_model(said)):
        return _model_call(span, operation or "chat")
    kind = _KINDS.get(str(named))
    if kind is None:
        return None
    if kind == "tool" and keys.TOOL_CALL_ARGUMENTS in said:
        given, back = said.get(keys.TOOL_CALL_ARGUMENTS), said.get(keys.TOOL_CALL_RESULT)
    elif kind == "retriever" and keys.RETRIEVAL_DOCUMENTS in said:
        given, back = said.get(keys.RETRIEVAL_QUERY), said.get(keys.RETRIEVAL_DOCUMENTS)
    else:
        given = said.get("input.value", said.get("traceloop.entity.input"))
        back = said.get("output.value", said.get("traceloop.entity.output"))
    output = _parsed(back)
    if kind == "retriever" and (documents := _listed(said, "retrieval.documents")):
        output = [_inner(document, "document").get("content") for document in documents]
    name = said.get(keys.TOOL_NAME) or said.get("tool.name") or said.get("traceloop.entity.name") or span.name
    return Said(kind, str(name), _inputs(_parsed(given)), output)


def _is_model(said: Mapping[str, Any]) -> bool:
    return any(key in said for key in (keys.INPUT_MESSAGES, "gen_ai.prompt.0.content")) or (
        "request_data" in said and "response_data" in said
    )


def _model_call(span: Span, operation: str) -> Said:
    said = span.attributes
    inputs, output = next((found for read in _READERS if (found := read(said))[0] or found[1] is not None), ({}, None))
    figures = {
        key: said[key] for key in said if key.startswith(("gen_ai.request.", "gen_ai.response.", "gen_ai.usage."))
    }
    figures |= {ours: said[theirs] for theirs, ours in _FIGURES.items() if theirs in said and ours not in figures}
    for key in (keys.PROVIDER_NAME, keys.SERVER_ADDRESS, keys.SERVER_PORT):
        if key in said:
            figures[key] = said[key]
    figures[keys.OPERATION_NAME] = operation if operation in _MODEL_OPERATIONS else "chat"
    provider = figures.get(keys.PROVIDER_NAME) or figures.get(keys.REQUEST_MODEL) or "model"
    return Said("llm", f"{provider}.{figures[keys.OPERATION_NAME]}", inputs, output, figures)


# How each convention writes messages


def _conventional(said: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Read the GenAI conventions of today: messages of parts, as JSON strings or as structures."""
    inputs: dict[str, Any] = {}
    if instructions := _parsed(said.get(keys.SYSTEM_INSTRUCTIONS)):
        parts = instructions if isinstance(instructions, list) else [instructions]
        inputs["instructions"] = "\n".join(_text(part) for part in parts)
    asked = _parsed(said.get(keys.INPUT_MESSAGES))
    if isinstance(asked, list):
        inputs["messages"] = [_of_parts(message) for message in asked]
    if tools := _parsed(said.get(keys.TOOL_DEFINITIONS)):
        inputs["tools"] = tools
    answered = _parsed(said.get(keys.OUTPUT_MESSAGES))
    answers = [_answer(_of_parts(message)) for message in answered] if isinstance(answered, list) else []
    return inputs, _one_or_all(answers)


def _of_parts(message: Any) -> dict[str, Any]:
    """Return a message of parts as clients write it."""
    if not isinstance(message, Mapping):
        return {"role": "user", "content": str(message)}
    parts = message.get("parts")
    if not isinstance(parts, list):
        return {str(key): value for key, value in message.items()}
    made: dict[str, Any] = {"role": str(message.get("role", ""))}
    texts: list[Any] = []
    calls: list[Any] = []
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "tool_call":
            calls.append(_call(part.get("id"), part.get("name"), part.get("arguments")))
        elif kind == "tool_call_response":
            made["tool_call_id"] = part.get("id")
            response = part.get("response", part.get("result"))
            texts.append(response if isinstance(response, str) else json.dumps(response))
        else:
            texts.append(_text(part))
    if texts:
        made["content"] = texts[0] if len(texts) == 1 else texts
    if calls:
        made["tool_calls"] = calls
    return made


def _text(part: Any) -> str:
    if isinstance(part, Mapping):
        return str(part.get("content", part.get("text", "")))
    return str(part)


def _call(identity: Any, name: Any, arguments: Any) -> dict[str, Any]:
    written = arguments if isinstance(arguments, str) or arguments is None else json.dumps(arguments)
    return {"id": identity, "name": name, "arguments": written}


def _older(said: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Read the conventions of before: ``gen_ai.prompt.N.content`` and ``gen_ai.completion.N.content``."""
    asked = [_flat_message(message) for message in _listed(said, "gen_ai.prompt")]
    answered = [_answer(_flat_message(message)) for message in _listed(said, "gen_ai.completion")]
    return ({"messages": asked} if asked else {}), _one_or_all(answered)


def _open_inference(said: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Read OpenInference: ``llm.input_messages.N.message.content`` and its kin."""
    asked = [_inferred(message) for message in _listed(said, "llm.input_messages")]
    answered = [_answer(_inferred(message)) for message in _listed(said, "llm.output_messages")]
    inputs: dict[str, Any] = {"messages": asked} if asked else {}
    if not asked and isinstance(given := said.get("input.value"), str):
        inputs = _inputs(_parsed(given))
    output = _one_or_all(answered)
    if output is None and isinstance(back := said.get("output.value"), str):
        output = _parsed(back)
    return inputs, output


def _inferred(message: Mapping[str, Any]) -> dict[str, Any]:
    message = _inner(message, "message")
    made: dict[str, Any] = {"role": str(message.get("role", ""))}
    contents = [_inner(content, "message_content") for content in _items(message.get("contents"))]
    if isinstance(message.get("content"), str):
        made["content"] = message["content"]
    elif contents:
        made["content"] = [str(content.get("text", "")) for content in contents]
    if identity := message.get("tool_call_id"):
        made["tool_call_id"] = identity
    calls = [_inner(call, "tool_call") for call in _items(message.get("tool_calls"))]
    if calls:
        functions = [_inner(call, "function") for call in calls]
        made["tool_calls"] = [
            _call(call.get("id"), function.get("name"), function.get("arguments"))
            for call, function in zip(calls, functions, strict=True)
        ]
    return made


def _logfire(said: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Read Logfire: the request and the answer as JSON."""
    request, response = _parsed(said.get("request_data")), _parsed(said.get("response_data"))
    request = request if isinstance(request, Mapping) else {}
    inputs = {
        key: request[key]
        for key in ("instructions", "system", "messages", "input", "prompt", "tools")
        if request.get(key)
    }
    response = response if isinstance(response, Mapping) else {}
    message = response.get("message")
    if isinstance(message, Mapping):
        return inputs, _answer({str(key): value for key, value in message.items()})
    text = response.get("combined_chunk_content", response.get("text"))
    return inputs, {"content": text} if isinstance(text, str) else None


_READERS: tuple[Callable[[Mapping[str, Any]], tuple[dict[str, Any], Any]], ...] = (
    _conventional,
    _open_inference,
    _older,
    _logfire,
)


def _flat_message(message: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        key: _parsed(value) if key == "content" and str(value).startswith('[{"') else value
        for key, value in message.items()
        if key in ("role", "content", "tool_call_id")
    }
    calls = [
        _call(call.get("id"), call.get("name"), call.get("arguments")) for call in _items(message.get("tool_calls"))
    ]
    if calls:
        made["tool_calls"] = calls
    return made


def _answer(message: dict[str, Any]) -> dict[str, Any]:
    """Return an assistant message without its role and what is protocol."""
    made = {key: value for key, value in message.items() if key in ("content", "tool_calls", "refusal") and value}
    return made or {"content": ""}


def _one_or_all(answers: list[dict[str, Any]]) -> Any:
    return answers[0] if len(answers) == 1 else list(answers) or None


def _inputs(given: Any) -> dict[str, Any]:
    """Return what went into a step: its arguments by name where they are known."""
    if isinstance(given, Mapping):
        inner = given.get("kwargs") or given.get("inputs")
        if isinstance(inner, Mapping) and set(given) <= {"args", "kwargs", "inputs", "tags", "metadata"}:
            return {str(key): value for key, value in {**inner, **_positional(given.get("args"))}.items()}
        return {str(key): value for key, value in given.items()}
    return {} if given is None else {"input": given}


def _positional(arguments: Any) -> dict[str, Any]:
    return {"args": arguments} if arguments else {}


def _parsed(text: Any) -> Any:
    """Return JSON as data; what is no JSON as it stands there."""
    if not isinstance(text, str) or not text.lstrip().startswith(("{", "[", '"')):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _listed(said: Mapping[str, Any], prefix: str) -> list[Mapping[str, Any]]:
    """Return ``prefix.N.some.field`` attributes as a list of nested mappings, in order of N."""
    flat = ((key[len(prefix) + 1 :], value) for key, value in said.items() if key.startswith(prefix + "."))
    return [item for item in _items(_nested(flat)) if isinstance(item, Mapping)]


def _nested(flat: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return dotted keys as nested mappings; where a value stands in the way of a mapping, the mapping wins."""
    tree: dict[str, Any] = {}
    for key, value in flat:
        at = tree
        *way, last = key.split(".")
        for step in way:
            inner = at.get(step)
            at[step] = at = inner if isinstance(inner, dict) else {}
        if not isinstance(at.get(last), dict):
            at[last] = value
    return tree


def _items(tree: Any) -> list[Any]:
    """Return the values of a mapping whose keys are numbers, in their order."""
    if isinstance(tree, list):
        return tree
    if not isinstance(tree, Mapping):
        return []
    numbered = sorted((int(key), value) for key, value in tree.items() if str(key).isdecimal())
    return [value for _, value in numbered]


def _inner(tree: Any, name: str) -> Mapping[str, Any]:
    """Return what stands under the name that OpenInference puts around everything."""
    inner = tree.get(name, tree) if isinstance(tree, Mapping) else {}
    return inner if isinstance(inner, Mapping) else {}
