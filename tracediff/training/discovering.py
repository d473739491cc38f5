"""Discovery by running: a few samples of a program nobody decorated, its prompts, and the steps between its calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tracediff import discover
from tracediff.discover.steps import functions_around, stepped
from tracediff.errors import NoParameters, UsageError
from tracediff.training.execution import Execution, Executor
from tracediff.training.samples import Data, read_samples
from tracediff.training.stepping import steps_between_calls


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a few runs have shown."""

    file: discover.ParameterFile
    samples: int
    requests: int
    faults: tuple[str, ...]
    """Of the runs that failed: sample and exception. The requests before the exception count."""


def discover_parameters(program: object, data: Data, *, limit: int = 5, max_in_flight: int = 4) -> Discovery:
    """Return the prompts and steps of ``program``, found by running it on the first ``limit`` samples.

    The samples should differ: a text that stays while the inputs vary is a prompt. Each run pays its model calls.

    Raises:
        UsageError: A sample lacks what the program needs, or no request was seen at all.
        NoParameters: No text of the requests stands in the program's source.
    """
    if limit < 1:
        raise UsageError(f"limit must be at least 1, not {limit}")
    samples = read_samples(data)[:limit]
    watcher = discover.Observation()
    functions = functions_around(program)
    stop = watcher.watch()
    try:
        with Executor(program, max_in_flight=max_in_flight) as executor, stepped(functions):
            name = executor.binding.name
            executions = executor.map(samples, None, lambda execution: execution)
    finally:
        stop()
    told = tuple(filter(None, map(_fault, executions)))
    if not watcher.sent:
        why = f" Its first run failed ({told[0]})." if told else ""
        raise UsageError(
            f"{name} sent no request through a client that tracediff knows.{why} Is tracediff.instrument() called, and "
            "does the program use the openai or anthropic client?"
        )
    findings = discover.find(watcher.sent, given=(text for sample in samples for text in _texts(sample.fields)))
    if not findings.parameters:
        raise NoParameters(
            f"none of the {len(watcher.sent)} requests of {name} has a text that stands in its source. Where its "
            "prompts come from elsewhere, declare them with @tracediff.trainable_prompt"
        )
    steps = steps_between_calls([execution.run for execution in executions], functions)
    file = discover.ParameterFile(name, findings.parameters, tuple(findings.unexplained), steps)
    return Discovery(file, len(samples), len(watcher.sent), told)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)


def _fault(execution: Execution) -> str:
    return f"sample {execution.sample.id!r}: {execution.message}" if execution.fault else ""
