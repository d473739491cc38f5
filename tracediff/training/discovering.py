"""Discovery by running: a few samples of a program nobody decorated, and the prompts that its source explains."""

from __future__ import annotations

from dataclasses import dataclass

from tracediff import discover
from tracediff.errors import NoParameters, UsageError
from tracediff.training.execution import Execution, Executor
from tracediff.training.samples import Data, read_samples


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a few runs have shown."""

    file: discover.ParameterFile
    samples: int
    requests: int
    faults: tuple[str, ...]
    """Of the runs that failed: sample and exception. The requests before the exception count."""


def discover_parameters(program: object, data: Data, *, limit: int = 5, max_in_flight: int = 4) -> Discovery:
    """Return the prompts of ``program``, found by running it on the first ``limit`` samples.

    The samples should differ: a text that stays while the inputs vary is a prompt. Each run pays its model calls.

    Raises:
        UsageError: A sample lacks what the program needs, or no request was seen at all.
        NoParameters: No text of the requests stands in the program's source.
    """
    if limit < 1:
        raise UsageError(f"limit must be at least 1, not {limit}")
    samples = read_samples(data)[:limit]
    watcher = discover.Observation()
    stop = watcher.watch()
    try:
        with Executor(program, max_in_flight=max_in_flight) as executor:
            name = executor.binding.name
            faults = executor.map(samples, None, _fault)
    finally:
        stop()
    told = tuple(filter(None, faults))
    if not watcher.sent:
        why = f" Its first run failed: {told[0]}" if told else ""
        raise UsageError(
            f"{name} sent no request through a client that tracediff knows.{why} Is tracediff.instrument() called, and "
            "does the program use the openai or anthropic client?"
        )
    findings = discover.find(watcher.sent)
    if not findings.parameters:
        raise NoParameters(
            f"none of the {len(watcher.sent)} requests of {name} has a text that stands in its source. Where its "
            "prompts come from elsewhere, declare them with @tracediff.trainable_prompt"
        )
    file = discover.ParameterFile(name, findings.parameters, tuple(findings.unexplained))
    return Discovery(file, len(samples), len(watcher.sent), told)


def _fault(execution: Execution) -> str:
    return f"sample {execution.sample.id!r}: {execution.message}" if execution.fault else ""
