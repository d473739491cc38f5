"""The span handler: each step that LlamaIndex announces becomes a record.

It changes nothing: no context stays attached, no exception leaves it, and what it is given is only read.
"""

from __future__ import annotations

import inspect
from typing import Any

from tracediff import attributes as keys
from tracediff.capture.context import current_scope, detach
from tracediff.capture.enclosing import enter
from tracediff.capture.faults import unfelt
from tracediff.capture.instrument import is_instrumented
from tracediff.capture.live import note_lost_context
from tracediff.capture.recorder import Call, begin, is_idle
from tracediff.capture.snapshot import Walk
from tracediff_llama_index.models import is_of_client
from tracediff_llama_index.steps import Step, Steps
from tracediff_llama_index.templates import tell_agent
from tracediff_llama_index.values import arguments, message, names_of, plain

_UUID_CHARS = 37
_CALLS = frozenset({"chat", "complete", "stream_chat", "stream_complete"})
"""The methods that call a model; all others of a model come down to them."""
_SILENT = frozenset({"BaseEmbedding", "BaseSparseEmbedding", "NodeParser", "TextSplitter"})
"""What cuts and measures texts: the texts are found without it."""
_SILENT_METHODS = frozenset({"write_response_to_history", "format", "format_messages", "run_jobs"})
_AGENTS = ("BaseWorkflowAgent.", "AgentWorkflow.", "run_jobs.")
"""The beginning of the names of steps by which the framework runs its agents."""

_unfelt = unfelt("llama_index")


class Handler:
    """Sees every span of engines, retrievers, tools, models, agents and workflows, also of those built before."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    @_unfelt
    def enter(self, span_id: str, bound: inspect.BoundArguments, instance: Any, parent_id: str | None) -> None:
        """Begin the record of a step."""
        if is_idle():
            return
        parent = None if parent_id is None else self.steps.by_id.get(parent_id)
        names = names_of(type(instance)) if instance is not None else frozenset()
        method = _method(span_id, instance)
        if "BaseLLM" in names:
            self.steps.add(span_id, self._model(parent, method, bound, instance))
        elif _is_silent(span_id, method, names):
            self.steps.add(span_id, Step(parent, instance=instance, tool_id=_tool_id(bound)))
        elif instance is not None and _same(parent, instance) and not _is_step(span_id, instance, names):
            self.steps.add(span_id, Step(parent, instance=instance))
        elif "BaseTool" in names or "AsyncBaseTool" in names:
            self.steps.add(span_id, self._tool(parent, bound, instance))
        else:
            if method == "run":
                tell_agent(instance)
            kind = "retriever" if "BaseRetriever" in names else "function"
            call = self._begin(parent, _name(span_id, method, instance), kind, arguments(bound))
            self.steps.add(span_id, Step(parent, call, instance))

    @_unfelt
    def leave(self, span_id: str, result: Any) -> None:
        """End it. A model's stream is read on: its record ends with the last piece."""
        step = self.steps.by_id.get(span_id)
        if step is None:
            return
        if step.is_model and _is_stream(result) and step.outer().call is not None:
            step.is_streaming = True
            return
        self.steps.by_id.pop(span_id, None)
        if step.call is None:
            return
        if step.is_model:
            _end_model(step, result)
        else:
            step.call.end(plain(result))

    @_unfelt
    def drop(self, span_id: str, error: BaseException | None) -> None:
        """End it with the exception that left it."""
        step = self.steps.by_id.pop(span_id, None)
        if step is None or step.call is None:
            return
        if step.is_model:
            _settle(step)
        if type(error).__name__ == "WaitingForEvent":  # a workflow's step that waits is run again
            step.call.end(attributes={keys.UNFINISHED: True})
        else:
            step.call.end(error=error)

    @_unfelt
    def answered(self, span_id: str | None, response: Any) -> None:
        """End the record of a model's stream, which has been read to the end."""
        step = self._streaming(span_id)
        if step is not None and step.call is not None:
            _end_model(step, response)

    @_unfelt
    def broken(self, span_id: str | None, error: BaseException) -> None:
        """End the record of a model's stream that was left or cut."""
        step = self._streaming(span_id)
        if step is not None and step.call is not None:
            _settle(step)
            if isinstance(error, GeneratorExit):
                step.call.end(attributes={keys.UNFINISHED: True})
            else:
                step.call.end(error=error)

    # -- shared --------------------------------------------------------------------------------------------------

    def _streaming(self, span_id: str | None) -> Step | None:
        """Return the model's step whose stream is over, and let go of its spans."""
        step = None if span_id is None else self.steps.by_id.get(span_id)
        if step is None or not step.is_streaming:
            return None
        outer = step.outer()
        for known, kept in list(self.steps.by_id.items()):
            if kept.is_streaming and kept.outer() is outer:
                self.steps.by_id.pop(known, None)
        return outer

    def _model(self, parent: Step | None, method: str, bound: inspect.BoundArguments, instance: Any) -> Step:
        """Begin the record of a model's span: the call itself, unless a client that is patched makes it."""
        asked = bound.arguments.get("messages", bound.arguments.get("prompt"))
        outer = self.steps.inner_of(parent, instance, asked)
        if outer is not None:
            return Step(outer, instance=instance, is_model=True, asked=asked)
        name = f"{type(instance).__name__}.{method}"
        is_call = method in _CALLS
        is_late = is_of_client(instance)
        if is_late and "stream" in method and any(map(is_instrumented, ("openai", "anthropic"))):
            return Step(parent, instance=instance, is_model=True)  # the client sends it later, where it is read
        given = _asked(bound) if is_call else {}
        if is_call and parent is not None:
            parent.claim()
        if is_call and not is_late:
            scope = current_scope()
            if scope is None or scope.recording is None or not scope.recording.is_open:
                note_lost_context(name)
        is_node = is_call and not is_late
        call = self._begin(parent, name, "llm" if is_node else "function", given if is_node else {})
        model = getattr(instance, "model", None) or getattr(instance, "model_name", None)
        if call is not None and is_call and isinstance(model, str):
            call.attributes = {keys.REQUEST_MODEL: model}
        return Step(parent, call, instance, given, asked, is_model=True, is_late=is_late)

    def _tool(self, parent: Step | None, bound: inspect.BoundArguments, instance: Any) -> Step:
        """Begin the record of a tool's call, named as the tool is."""
        told = getattr(instance, "metadata", None)
        name = getattr(told, "name", None) or type(instance).__name__
        inputs = arguments(bound)
        tool_id = parent.tool_id if parent is not None else ""
        if tool_id:
            inputs["tool_call_id"] = tool_id
        described = getattr(told, "description", None)
        call = self._begin(parent, str(name), "tool", inputs, " ".join(str(described or "").split()))
        if call is not None and tool_id:
            call.attributes = {**(call.attributes or {}), keys.TOOL_CALL_ID: tool_id}
        return Step(parent, call, instance)

    @staticmethod
    def _begin(parent: Step | None, name: str, kind: str, inputs: dict[str, Any], description: str = "") -> Call | None:
        around = None if parent is None else parent.nearest()
        if around is None or around.call is None:
            return begin(name, kind, inputs, description=description)
        token = enter(around.call)
        try:
            return begin(name, kind, inputs, description=description)
        finally:
            if token is not None:
                detach(token)


def _method(span_id: str, instance: Any) -> str:
    """Return the method of a span by the name that its sync and async variants share."""
    name = span_id[:-_UUID_CHARS].rpartition(".")[2].lstrip("_") if instance is not None else ""
    if name == "call" or span_id[:-_UUID_CHARS].endswith("__call__"):
        return "call"
    is_async = name.startswith("a") and hasattr(type(instance), name[1:])
    return name[1:] if is_async else name


def _name(span_id: str, method: str, instance: Any) -> str:
    """Return what a person calls the step: the class and its method, or the function."""
    if instance is None:
        return span_id[:-_UUID_CHARS].replace("<locals>.", "")
    kind = type(instance).__name__
    return kind if method == "call" else f"{kind}.{method}"


def _is_silent(span_id: str, method: str, names: frozenset[str]) -> bool:
    if names & _SILENT or method in _SILENT_METHODS:
        return True
    return (not names and span_id.startswith(_AGENTS)) or span_id.startswith("run_jobs-")


def _same(parent: Step | None, instance: Any) -> bool:
    """Tell whether a span is an inner part of what the same object does."""
    return parent is not None and parent.instance is instance


def _is_step(span_id: str, instance: Any, names: frozenset[str]) -> bool:
    """Tell whether a span is a step of a user's workflow, announced with the workflow as its object."""
    if names & {"BaseWorkflowAgent", "AgentWorkflow"}:
        return False
    name = span_id[:-_UUID_CHARS].rpartition(".")[2]
    method = getattr(type(instance), name, None)
    return not name.startswith("_") and any(hasattr(method, told) for told in ("_step_config", "__step_config"))


def _tool_id(bound: inspect.BoundArguments) -> str:
    found = getattr(bound.arguments.get("ev"), "tool_id", None)
    return found if isinstance(found, str) else ""


def _asked(bound: inspect.BoundArguments) -> dict[str, Any]:
    """Return what a model is asked."""
    told = bound.arguments
    prompt = told.get("prompt")
    if prompt is None and told.get("args"):
        prompt = told["args"][0]
    if "messages" in told:
        found: dict[str, Any] = {"messages": [message(item, has_role=True) for item in told["messages"]]}
    else:
        found = {"prompt": prompt}
    tools = (told.get("kwargs") or {}).get("tools")
    return {**found, "tools": tools} if tools else found


def _is_stream(result: Any) -> bool:
    return inspect.isgenerator(result) or inspect.isasyncgen(result)


def _settle(step: Step) -> None:
    """Make the record of a model's span what it turned out to be: the call, or what is around it."""
    call = step.call
    if call is None or not step.given:
        return
    call.kind = "function" if step.is_claimed else "llm"
    if step.is_claimed:
        call.inputs, call.refs = {}, []
    elif step.is_late:
        run = call.recording._run
        with run.lock:
            for argument, value in step.given.items():
                call.inputs[argument] = Walk(run.table, refs=call.refs).take(value, argument)


def _end_model(step: Step, result: Any) -> None:
    """End the record of a model's span with its answer, unless that is the answer of a call in it."""
    call = step.call
    if call is None:
        return
    _settle(step)
    if step.is_claimed or not step.given:
        call.end()
    else:
        call.end(plain(result), attributes=_usage(result))


def _usage(response: Any) -> dict[str, Any]:
    """Return the tokens as far as the model told them."""
    told = {**(getattr(response, "additional_kwargs", None) or {})}
    named = ((keys.USAGE_INPUT_TOKENS, "prompt_tokens"), (keys.USAGE_OUTPUT_TOKENS, "completion_tokens"))
    return {key: told[name] for key, name in named if isinstance(told.get(name), int)}
