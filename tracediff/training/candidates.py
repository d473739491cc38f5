"""Candidates of a training run: what differs from the code's texts, and the parameters that runs have shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tracediff.capture.context import current_text
from tracediff.capture.prompts import declared_parameters
from tracediff.capture.records import SpanRecord
from tracediff.errors import NoParameters, ParameterError, UsageError
from tracediff.parameters import Parameter, text_hash
from tracediff.training.samples import canonical


@dataclass(frozen=True, slots=True)
class Trained:
    """A candidate: the parameters whose text differs from the start, and nothing else.

    So a parameter that a later run is the first to read changes no candidate's identity.
    """

    changes: Mapping[str, str] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """First 16 hex digits of a SHA-256; the start has one too."""
        return text_hash(canonical(dict(self.changes)).decode("utf-8", "replace"))


class Parameters:
    """The parameters that the runs have shown so far, by name, in order of first use."""

    def __init__(
        self, constraints: Mapping[str, Mapping[str, Any]] | None = None, discovered: Iterable[Parameter] = ()
    ) -> None:
        """Know none so far; ``discovered`` are those of a parameters file, which no code declares."""
        self._discovered = {parameter.name: parameter for parameter in discovered}
        if constraints is not None and not isinstance(constraints, Mapping):
            raise UsageError(f"constraints: expected a mapping parameter name -> limits, not {constraints!r}")
        self._constraints = {name: _checked(name, given) for name, given in (constraints or {}).items()}
        self._known: dict[str, Parameter] = {}

    def learn(self, records: Iterable[SpanRecord], candidate: Trained) -> None:
        """Take in the parameters of a run; raise ParameterError for two of one name with different texts."""
        for record in records:
            seen = record.parameter
            if seen is None:
                continue
            known = self._known.get(seen.name)
            expected = candidate.changes.get(seen.name, known.text if known else seen.text)
            if seen.text != expected:
                raise ParameterError(
                    f"two trainable prompts are named {seen.name!r} and have different texts, or one changes from "
                    f"call to call: {expected[:80]!r} and {seen.text[:80]!r} ({seen.file}:{seen.line}). Give each its "
                    "own name (name=...), and make what changes an argument of the prompt"
                )
            if known is None:
                self._known[seen.name] = self._constrained(seen)

    def learn_declared(self) -> None:
        """Take in the parameters that the loaded code declares, with the texts in use: for a run that read none."""
        for declared in declared_parameters():
            if declared.name not in self._known:
                in_use = current_text(declared.name)
                text = declared.text if in_use is None else str(in_use)
                self._known[declared.name] = self._constrained(replace(declared, text=text))

    def check_declared(self) -> None:
        """Raise UsageError for a constraint that the text of a declared parameter breaks; costs nothing."""
        for declared in declared_parameters():
            self._constrained(declared)

    def _constrained(self, parameter: Parameter) -> Parameter:
        """Return a parameter under its constraints; raise UsageError when its text breaks them (as decorating does)."""
        given = self._constraints.get(parameter.name, {})
        lost = [part for part in given.get("frozen", ()) if part not in parameter.text]
        if lost:
            raise UsageError(
                f"constraints[{parameter.name!r}]: frozen names {lost[0]!r}, which does not stand in its text: "
                f"{parameter.text[:200]!r}"
            )
        limit = given.get("max_chars")
        if limit is not None and len(parameter.text) > limit:
            raise UsageError(
                f"constraints[{parameter.name!r}]: max_chars={limit} is less than its own text of "
                f"{len(parameter.text)} characters"
            )
        return replace(parameter, **given)

    def check(self, program: str) -> None:
        """Raise NoParameters when no trainable prompt was read, UsageError for a constraint on an unknown one."""
        if not any(parameter.trainable for parameter in self._known.values()):
            untrained = ", ".join(self._known)
            if self._discovered:
                count = sum(parameter.trainable for parameter in self._discovered.values())
                if not count:
                    raise NoParameters(
                        "no entry of the parameters file is trainable, so there is nothing to train. Set the status of "
                        "one to trainable, or run `tracediff discover` again"
                    )
                raise NoParameters(
                    f"{program} sent none of the {count} trainable prompts of the parameters file, or the client is "
                    "not instrumented (tracediff.instrument()). If its source has changed, run `tracediff discover` "
                    "again." + (f" Prompts with trainable=False were read: {untrained}" if untrained else "")
                )
            raise NoParameters(
                f"{program} read no trainable prompt, so there is nothing to train. "
                + (f"Only prompts with trainable=False were read: {untrained}. " if untrained else "")
                + "Decorate the function that returns a prompt with @tracediff.trainable_prompt, or use the value form "
                'PROMPT = tracediff.trainable_prompt("...", name="..."), and read it inside the program. Where nothing '
                "is to be decorated, `tracediff discover` writes a parameters file, and --parameters FILE trains it"
            )
        unknown = [name for name in self._constraints if name not in self._known]
        if unknown:
            raise UsageError(
                f"constraints: no prompt named {unknown[0]!r} was read. The program reads: {', '.join(self._known)}"
            )

    def of_code(self) -> tuple[Parameter, ...]:
        """Return every parameter with the code's own text, where that is known: training may start from another one."""
        known = [*declared_parameters(), *self._discovered.values()]
        code = {parameter.name: parameter.text for parameter in known}
        return tuple(replace(p, text=code.get(name, p.text)) for name, p in self._known.items())

    def current(self, candidate: Trained) -> dict[str, Parameter]:
        """Return every parameter with the candidate's text."""
        return {name: replace(p, text=candidate.changes.get(name, p.text)) for name, p in self._known.items()}

    def texts(self, candidate: Trained) -> dict[str, str]:
        """Return trainable parameter name -> the candidate's text."""
        return {name: p.text for name, p in self.current(candidate).items() if p.trainable}

    def with_texts(self, candidate: Trained, texts: Mapping[str, str]) -> Trained:
        """Return ``candidate`` with new texts; a text that is the start's again is no change."""
        changes = {**candidate.changes, **texts}
        return Trained({name: text for name, text in changes.items() if text != self._known[name].text})


def _checked(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constraints on one parameter as fields of Parameter; raise UsageError for anything else."""
    if not isinstance(given, Mapping) or set(given) - {"frozen", "max_chars", "trainable"}:
        raise UsageError(
            f"constraints[{name!r}]: expected a mapping with frozen, max_chars or trainable, not {given!r}"
        )
    fields = dict(given)
    if "frozen" in fields:
        frozen = fields["frozen"]
        parts = (frozen,) if isinstance(frozen, str) else frozen
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise UsageError(f"constraints[{name!r}]: frozen must be a string or a list of strings, not {frozen!r}")
        fields["frozen"] = tuple(parts)
    limit = fields.get("max_chars")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise UsageError(f"constraints[{name!r}]: max_chars must be a number from 1, not {limit!r}")
    if not isinstance(fields.get("trainable", True), bool):
        raise UsageError(f"constraints[{name!r}]: trainable must be True or False, not {fields['trainable']!r}")
    return fields
