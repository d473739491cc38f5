"""One prompt that is to be written back."""

from __future__ import annotations

from dataclasses import dataclass

from tracediff.parameters import Parameter, split


@dataclass(frozen=True, slots=True)
class Change:
    """A prompt and the text that is to stand in its place."""

    name: str
    text: str
    """As the source's text reached the model, with ``{name}`` for each variable."""
    variables: tuple[str, ...]
    new: str
    file: str
    line: int
    is_declared: bool
    """``trainable_prompt`` declares it: the text stands in that function or call, and is sent as it is."""

    @classmethod
    def of(cls, parameter: Parameter, new: str) -> Change:
        """Return the change of a parameter of the code to a new text."""
        return cls(
            parameter.name,
            parameter.text,
            parameter.variables,
            str(new),
            parameter.file,
            parameter.line,
            is_declared=parameter.is_declared,
        )

    @property
    def literals(self) -> tuple[str, ...]:
        """Return the literals of the old text, one more than slots."""
        return tuple(literal for literal, _ in split(self.text, self.variables))

    @property
    def slots(self) -> tuple[str, ...]:
        """Return the variable of each slot, in order."""
        return tuple(name for _, name in split(self.text, self.variables) if name is not None)
