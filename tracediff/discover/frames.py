"""Who sends a request: the user's code on the stack, innermost first."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from tracediff.capture.callsite import is_library
from tracediff.capture.names import module_name


@dataclass(frozen=True, slots=True)
class Caller:
    """The user's code that sends a request."""

    line: int = 0
    """Where the innermost user function makes the call."""
    files: tuple[tuple[str, str], ...] = ()
    """(module, file) of every user function on the stack: a script's own module may be gone when its source is read."""

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules on the stack."""
        return tuple(name for name, _ in self.files)


def caller() -> Caller:
    """Return the user's code on the running stack."""
    frames = list(_user_frames())
    files = dict.fromkeys((module_name(frame.f_globals), frame.f_code.co_filename) for frame in frames)
    return Caller(frames[0].f_lineno if frames else 0, tuple(files))


def _user_frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if isinstance(name, str) and not is_library(frame.f_code.co_filename, name.partition(".")[0]):
            yield frame
        frame = frame.f_back
