"""Why an edge is there, kept as a few references and put into words only when somebody asks."""

from __future__ import annotations

from typing import NamedTuple

from tracediff.graph.words import spans, unescaped

_SHOWN = 60


class Reason(NamedTuple):
    """Which text, where, and what else could have been the source."""

    form: str
    """The sentence, with ``{path}``, ``{owner}``, ``{place}``, ``{at}`` and ``{text}`` to be filled in."""
    path: str = ""
    """Where in the inputs."""
    place: str = ""
    """Where in the owner's output."""
    text: str = ""
    part: tuple[int, int] | None = None
    """First word of ``text`` that counts and the word after the last; None is all of it."""
    rejected: tuple[str, ...] = ()
    """Labels of calls that had put out the same, earlier."""

    def words(self, owner: str) -> str:
        """Return the sentence; ``owner`` is the label of the call that the edge comes from."""
        at = f" at {self.place}" if self.place else ""
        said = self.form.format(path=self.path, owner=owner, place=self.place, at=at, text=shown(self._quoted()))
        return f"{said}; rejected as earlier: {', '.join(self.rejected)}" if self.rejected else said

    def _quoted(self) -> str:
        if self.part is None:
            return self.text
        plain = unescaped(self.text)
        places = spans(plain)
        return plain[places.starts[self.part[0]] : places.ends[self.part[1] - 1]]


def shown(text: str) -> str:
    """Return the beginning of a text on one line, quoted."""
    line = " ".join(text[: 2 * _SHOWN].split())
    return repr(line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…")
