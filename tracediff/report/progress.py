"""The progress of a training run in a terminal; plain lines where the output is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from tracediff.report.graph_view import terminal
from tracediff.training.progress import ProgressEvent


class Progress:
    """Draws the events of a training run on stderr, so that stdout stays the result's; a context manager."""

    def __init__(self, *, enabled: bool = True, title: str = "") -> None:
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._enabled = enabled
        self._is_live = enabled and sys.stderr.isatty()
        self._title = title
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Bars(*columns, console=self._console, transient=True)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._is_live:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_live:
            self._bars.stop()

    def on_event(self, event: ProgressEvent) -> None:
        """Draw one event."""
        if not self._enabled:
            return
        if event.kind == "samples":
            self._draw(event)
            return
        where = f"{event.step:>2}/{event.max_steps}" if event.step else "  " + " " * len(str(event.max_steps))
        best = f"  best {event.best:.3f}" if event.best is not None else ""
        calls = f"  {sum(event.calls.values())} calls" if event.calls else ""
        self._console.print(terminal(f"{self._title}{where}  {event.message}{best}{calls}"), soft_wrap=True)

    def _draw(self, event: ProgressEvent) -> None:
        if not self._is_live:
            return
        if self._task is None:
            self._task = self._bars.add_task("", total=event.total)
        self._bars.update(self._task, description=terminal(event.message), completed=event.done, total=event.total)
