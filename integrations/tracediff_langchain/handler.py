"""The callback handler: each run that LangChain announces becomes a record.

It changes nothing: no context stays attached, no exception leaves it, and what it is given is only read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from tracediff import attributes as keys
from tracediff.capture.context import current_scope, detach
from tracediff.capture.enclosing import enter
from tracediff.capture.faults import unfelt
from tracediff.capture.live import note_lost_context
from tracediff.capture.recorder import Call, begin, is_idle
from tracediff.capture.snapshot import Walk
from tracediff.capture.values import Value
from tracediff_langchain.steps import Step, Steps, called_by, settled_output
from tracediff_langchain.values import arguments, message, plain

_HIDDEN = "langsmith:hidden"
_CLIENTS = ("openai", "anthropic")
_BUBBLES = frozenset({"GraphBubbleUp", "ParentCommand", "GraphInterrupt"})
"""Exceptions by which LangGraph itself leaves a node."""

_unfelt = unfelt("langchain")


class Handler:
    """Sees every run of every chain, graph, tool, retriever and model, also of those built before it was entered."""

    raise_error = False
    run_inline = True  # in the caller's own context and thread, also under asyncio

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.is_on = True

    def __copy__(self) -> Handler:
        return self

    def __deepcopy__(self, _memo: Any) -> Handler:
        return self

    # -- chains, graphs, their nodes, parsers --------------------------------------------------------------------

    @_unfelt
    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **about: Any) -> None:
        """Begin the record of a chain, a graph, a node, a function or a parser."""
        if self._is_off():
            return
        parent, tags = self._parent(about), about.get("tags") or ()
        if about.get("run_type") == "prompt" or _HIDDEN in tags or _is_agents_prompt(about):
            self.steps.add(run_id, Step(parent))
            return
        if parent is not None and parent.is_node and _is_router(tags):
            self._router(run_id, parent, about["parent_run_id"])
            return
        is_late = inputs in ("", {"input": ""}) if isinstance(inputs, str | dict) else False
        given = {} if is_late else arguments(inputs)
        call = self._begin(parent, _name(serialized, about), "function", given)
        is_node = any(tag.startswith("graph:step:") for tag in tags)
        self.steps.add(run_id, Step(parent, call, None if is_late else inputs, is_late=is_late, is_node=is_node))

    @_unfelt
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **about: Any) -> None:
        """End it."""
        step = self.steps.by_id.pop(run_id, None)
        if step is None or (call := step.call) is None:
            return
        if step.is_late:
            _take_late(step, call, arguments(about["inputs"]) if "inputs" in about else {"input": ""})
        if outputs is step.given and len(call.inputs) > 1 and not step.has_inside:
            handed: dict[Value, Value] = {}
            handed.update(call.inputs.items())
            call.inputs, call.refs = {"input": handed}, []
        call.end(plain(outputs))

    @_unfelt
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **about: Any) -> None:
        """End it with the exception that left it. A command to the graph around is what it puts out."""
        step = self.steps.by_id.pop(run_id, None)
        if step is None or (call := step.call) is None:
            return
        if step.is_late and "inputs" in about:
            _take_late(step, call, arguments(about["inputs"]))
        if _BUBBLES.isdisjoint(base.__name__ for base in type(error).__mro__):
            call.end(error=error)
        elif type(error).__name__ == "ParentCommand":
            call.end(plain(error.args[0]) if error.args else None)
        else:
            call.end(attributes={keys.UNFINISHED: True})

    def _router(self, run_id: UUID, node: Step, node_id: UUID) -> None:
        """Let a router run beside its node, which has returned: what the router's own calls use came from the node."""
        is_known, output = settled_output(node_id)
        if is_known and node.call is not None:
            node.call.end(plain(output))
        self.steps.add(run_id, Step(node.parent if is_known else node))

    # -- tools and retrievers ------------------------------------------------------------------------------------

    @_unfelt
    def on_tool_start(self, serialized: Any, input_str: Any, *, run_id: UUID, **about: Any) -> None:
        """Begin the record of a tool's call."""
        if self._is_off():
            return
        parent, given = self._parent(about), about.get("inputs")
        inputs = arguments(given if isinstance(given, dict) and given else input_str)
        call_id = about.get("tool_call_id") or called_by()
        if call_id:
            inputs["tool_call_id"] = call_id
        described = serialized.get("description", "") if isinstance(serialized, Mapping) else ""
        described = described if isinstance(described, str) else ""
        call = self._begin(parent, _name(serialized, about), "tool", inputs, " ".join(described.split()))
        if call is not None and call_id:
            call.attributes = {**(call.attributes or {}), keys.TOOL_CALL_ID: call_id}
        self.steps.add(run_id, Step(parent, call))

    @_unfelt
    def on_tool_end(self, output: Any, *, run_id: UUID, **_about: Any) -> None:
        """End it."""
        self._end(run_id, output)

    @_unfelt
    def on_retriever_start(self, serialized: Any, query: Any, *, run_id: UUID, **about: Any) -> None:
        """Begin the record of a retrieval."""
        if self._is_off():
            return
        parent = self._parent(about)
        call = self._begin(parent, _name(serialized, about), "retriever", {"query": query})
        self.steps.add(run_id, Step(parent, call))

    @_unfelt
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_about: Any) -> None:
        """End it."""
        self._end(run_id, documents)

    # -- models --------------------------------------------------------------------------------------------------

    @_unfelt
    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: UUID, **about: Any) -> None:
        """Begin the record of a chat model's run: the call itself, unless a client that is patched makes it."""
        if not self._is_off():
            given: dict[str, Any] = {"messages": [message(item, has_role=True) for item in messages[0]]}
            tools = (about.get("invocation_params") or {}).get("tools")
            self._model(serialized, run_id, about, given | ({"tools": tools} if tools else {}))

    @_unfelt
    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: UUID, **about: Any) -> None:
        """Begin the record of the run of a model that completes texts."""
        if not self._is_off():
            self._model(serialized, run_id, about, {"prompt": prompts[0] if len(prompts) == 1 else list(prompts)})

    def _model(self, serialized: Any, run_id: UUID, about: Mapping[str, Any], given: dict[str, Any]) -> None:
        parent = self._parent(about)
        settings = about.get("invocation_params") or {}
        is_late = _is_of_client(settings, about)
        name = _name(serialized, about)
        scope = current_scope()
        if not is_late and (scope is None or scope.recording is None or not scope.recording.is_open):
            note_lost_context(name)
        model = (
            settings.get("model") or settings.get("model_name") or (about.get("metadata") or {}).get("ls_model_name")
        )
        call = self._begin(parent, name, "function" if is_late else "llm", {} if is_late else given)
        if call is not None and not is_late:
            call.attributes = {keys.REQUEST_MODEL: model} if isinstance(model, str) else {}
        self.steps.add(run_id, Step(parent, call, given, is_model=True, is_late=is_late))

    @_unfelt
    def on_llm_end(self, response: Any, *, run_id: UUID, **_about: Any) -> None:
        """End it. A client's call in it is the node: this run is then no more than what is around that."""
        step = self.steps.by_id.pop(run_id, None)
        if step is None or (call := step.call) is None:
            return
        if step.is_claimed:
            call.kind = "function"
            call.end()
            return
        call.kind = "llm"
        if step.is_late:
            _take(call, step.given)
        call.end(_answer(response), attributes=_usage(response))

    # -- errors --------------------------------------------------------------------------------------------------

    @_unfelt
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_about: Any) -> None:
        """End a model's run with the exception that left it."""
        step = self.steps.by_id.pop(run_id, None)
        if step is not None and (call := step.call) is not None:
            call.kind = "function" if step.is_claimed else "llm"
            if step.is_late and not step.is_claimed:
                _take(call, step.given)
            call.end(error=error)

    @_unfelt
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_about: Any) -> None:
        """End a tool's call with the exception that left it."""
        self._end(run_id, None, error)

    @_unfelt
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_about: Any) -> None:
        """End a retrieval with the exception that left it."""
        self._end(run_id, None, error)

    # -- shared --------------------------------------------------------------------------------------------------

    def _is_off(self) -> bool:
        return not self.is_on or is_idle()

    def _parent(self, about: Mapping[str, Any]) -> Step | None:
        run_id = about.get("parent_run_id")
        return None if run_id is None else self.steps.by_id.get(run_id)

    def _begin(
        self, parent: Step | None, name: str, kind: str, inputs: Mapping[str, Any], description: str = ""
    ) -> Call | None:
        around = None if parent is None else parent.nearest()
        if around is None or around.call is None:
            return begin(name, kind, inputs, description=description)
        around.has_inside = True
        token = enter(around.call)
        try:
            return begin(name, kind, inputs, description=description)
        finally:
            if token is not None:
                detach(token)

    def _end(self, run_id: UUID, output: Any, error: BaseException | None = None) -> None:
        step = self.steps.by_id.pop(run_id, None)
        if step is None or step.call is None:
            return
        if error is not None and not _BUBBLES.isdisjoint(base.__name__ for base in type(error).__mro__):
            step.call.end(attributes={keys.UNFINISHED: True})
        else:
            step.call.end(plain(output), error=error)


def _name(serialized: Any, about: Mapping[str, Any]) -> str:
    """Return the framework's own name of what runs."""
    if name := about.get("name"):
        return str(name)
    if isinstance(serialized, Mapping):
        if name := serialized.get("name"):
            return str(name)
        if path := serialized.get("id"):
            return str(path[-1])
    return "Unnamed"


def _is_agents_prompt(about: Mapping[str, Any]) -> bool:
    """Tell whether a run puts an agent's prompt before its messages, as the formatting of a template does."""
    return about.get("name") == "Prompt" and "langgraph_node" in (about.get("metadata") or {})


def _is_router(tags: Iterable[str]) -> bool:
    """Tell whether a run stands behind the first part of its node: the first is the node's own function."""
    return any(tag.startswith("seq:step:") and tag != "seq:step:1" for tag in tags)


def _is_of_client(settings: Mapping[str, Any], about: Mapping[str, Any]) -> bool:
    """Tell whether a model's run will presumably be a call of a patched client: its record is then the client's."""
    told = f"{settings.get('_type', '')} {(about.get('metadata') or {}).get('ls_provider', '')}"
    return any(client in told for client in _CLIENTS)


def _take(call: Call, inputs: Mapping[str, Any]) -> None:
    """Take inputs of a call that has begun."""
    run = call.recording._run
    with run.lock:
        for argument, value in inputs.items():
            call.inputs[argument] = Walk(run.table, refs=call.refs).take(value, argument)


def _take_late(step: Step, call: Call, inputs: Mapping[str, Any]) -> None:
    """Take what a streamed step was given, which is known at its end.

    If nothing ran in it, it begins now for the graph: what it was given was there before what it puts out.
    """
    if call.is_over:
        return
    _take(call, inputs)
    if not step.has_inside:
        call.started = call.recording._run.next()


def _answer(response: Any) -> Any:
    """Return what a model put out: text and tool calls; several choices are a list."""
    made = []
    for choice in response.generations[0] if response.generations else []:
        given = getattr(choice, "message", None)
        said = {"content": choice.text} if given is None else message(given)
        made.append(said)
    return made[0] if len(made) == 1 else made


def _usage(response: Any) -> dict[str, Any]:
    """Return tokens and finish reasons, as far as the model told them."""
    found: dict[str, Any] = {}
    for choice in response.generations[0] if response.generations else []:
        given = getattr(choice, "message", None)
        told = getattr(given, "usage_metadata", None) or {}
        for key, name in ((keys.USAGE_INPUT_TOKENS, "input_tokens"), (keys.USAGE_OUTPUT_TOKENS, "output_tokens")):
            if isinstance(told.get(name), int):
                found[key] = told[name]
        about = getattr(given, "response_metadata", None) or {}
        reason = about.get("finish_reason") or about.get("stop_reason")
        if isinstance(reason, str):
            found[keys.RESPONSE_FINISH_REASONS] = [reason]
    return found
