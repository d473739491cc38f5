"""Prompts that the program itself declares: their texts in a request are not discovered a second time."""

from __future__ import annotations

from collections.abc import Container, Iterator

from tracediff.capture.context import current_scope


def declared_outputs(discovered: Container[str]) -> Iterator[str]:
    """Yield what ``trainable_prompt`` put out so far in the running recording; not of the ``discovered`` names."""
    scope = current_scope()
    recording = None if scope is None else scope.recording
    while recording is not None and recording.outer is not None:
        recording = recording.outer
    for call in () if recording is None else list(recording._ended):
        if call.kind == "prompt" and call.name not in discovered and type(call.output) is str and call.output:
            yield call.output
