"""Samples: what a program is run on, and how the fields of a sample become its arguments."""

from __future__ import annotations

import hashlib
import inspect
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from tracediff.errors import DataError, UsageError
from tracediff.graph.runs import entry

Data: TypeAlias = "Iterable[Mapping[str, Any]] | str | os.PathLike[str]"
"""Samples, or the path of a JSONL file of them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of the data: what the user gave, with an id."""

    id: str
    fields: Mapping[str, Any]
    """The user's fields, ``id`` included; this mapping is what a metric gets."""
    origin: str = ""
    """``file:line`` for a sample that was read from a file."""

    @property
    def label(self) -> str:
        """The id, with where the sample came from, for messages."""
        return f"sample {self.id!r} ({self.origin})" if self.origin else f"sample {self.id!r}"


def read_samples(data: Data, what: str = "data") -> tuple[Sample, ...]:
    """Return the samples of ``data`` in order, each with an id; ``what`` names them in errors.

    A sample without an ``id`` gets one made from its content (equal rows are numbered). Raises DataError for a file or
    a row that can't be read, for an id that occurs twice, and when there is no sample at all.
    """
    if isinstance(data, str | os.PathLike):
        rows = _read_jsonl(Path(data), what)
    elif isinstance(data, Mapping) or not isinstance(data, Iterable):
        raise DataError(f"{what}: expected a list of samples or the path of a JSONL file, not {type(data).__name__}")
    else:
        rows = [(row, "") for row in data]
    samples: list[Sample] = []
    seen: dict[str, Sample] = {}
    for number, (row, origin) in enumerate(rows, 1):
        where = origin or f"{what}[{number - 1}]"
        if not isinstance(row, Mapping):
            raise DataError(f"{where}: a sample must be a mapping of fields, not {type(row).__name__}")
        sample = _with_id(row, origin, seen)
        if sample.id in seen:
            first = seen[sample.id].origin or f"{what}[{[s.id for s in samples].index(sample.id)}]"
            raise DataError(f"{where}: the id {sample.id!r} is already that of {first}. Give every sample its own id")
        seen[sample.id] = sample
        samples.append(sample)
    if not samples:
        raise DataError(f"{what}: there are no samples" + (f" in {data}" if isinstance(data, str | Path) else ""))
    return tuple(samples)


def _with_id(row: Mapping[str, Any], origin: str, seen: Mapping[str, Sample]) -> Sample:
    given = row.get("id")
    if given is not None and given != "":
        return Sample(str(given), dict(row), origin)
    content = hashlib.sha256(canonical({k: v for k, v in row.items() if k != "id"})).hexdigest()[:12]
    made, number = content, 1
    while made in seen:
        number += 1
        made = f"{content}-{number}"
    return Sample(made, {**row, "id": made}, origin)


def _read_jsonl(path: Path, what: str) -> list[tuple[Any, str]]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(
            f"{what}: {path} can't be read: {error.strerror or error}. Give the path of a JSONL file"
        ) from error
    rows: list[tuple[Any, str]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append((orjson.loads(line), f"{path}:{number}"))
        except orjson.JSONDecodeError as error:
            raise DataError(
                f"{path}:{number}: no JSON object: {error}. A data file has one JSON object a line"
            ) from error
    return rows


def canonical(value: Any) -> bytes:
    """Return JSON of ``value`` with sorted keys; what JSON can't hold stands as its ``repr``."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(value, default=repr, option=options)
    except (TypeError, ValueError):  # lone surrogates, integers over 64 bits, keys that do not compare
        return repr(value).encode("utf-8", "surrogatepass")


def data_hash(samples: Iterable[Sample]) -> str:
    """First 16 hex digits of the SHA-256 of the samples in order."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(canonical(dict(sample.fields)) + b"\n")
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Arguments:
    """How one sample is given to a program, and which fields stay behind as its labels."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    labels: Mapping[str, Any]
    """The fields that the program does not get: the ground truth a metric and the critic may see."""


@dataclass(frozen=True, slots=True)
class Binding:
    """How samples become the arguments of one program: an ``input`` field, or fields named like its parameters."""

    call: Callable[..., Any]
    name: str
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    needs_input: str = ""
    """Why a sample must have ``input``; empty when its fields may be bound by name."""
    is_invoked: bool = False
    """An object with ``invoke``: it takes one argument, a mapping too."""

    @classmethod
    def of(cls, program: object) -> Binding:
        """Return the binding of a callable or an object with ``invoke`` or ``ainvoke``; raise UsageError otherwise."""
        call = entry(program)
        name = _name_of(program)
        if call is not program:
            wanted = _wanted_fields(program)
            needs = "" if wanted else f"{name} is an object with `invoke`"
            return cls(call, name, wanted, wanted, needs, is_invoked=True)
        try:
            signature = inspect.signature(call)
        except (TypeError, ValueError):
            return cls(call, name, (), (), f"the signature of {name} can't be read")
        kinds = {p.kind for p in signature.parameters.values()}
        if inspect.Parameter.VAR_KEYWORD in kinds:
            return cls(call, name, (), (), f"{name} takes **kwargs, so labels could leak into it")
        if inspect.Parameter.VAR_POSITIONAL in kinds or inspect.Parameter.POSITIONAL_ONLY in kinds:
            return cls(call, name, (), (), f"{name} takes arguments that have no name")
        required = tuple(n for n, p in signature.parameters.items() if p.default is inspect.Parameter.empty)
        return cls(call, name, tuple(signature.parameters), required)

    def arguments(self, sample: Sample) -> Arguments:
        """Return how ``sample`` is given to the program; raise UsageError that names the sample and what is missing."""
        fields = sample.fields
        if "input" in fields:
            is_named = "input" in self.parameters and not self.is_invoked
            return self._from_named_input(sample) if is_named else self._from_input(sample)
        if self.needs_input:
            raise UsageError(f"{sample.label} has no field `input`, which is required: {self.needs_input}")
        kwargs = {name: fields[name] for name in self.parameters if name in fields}
        self._check_all(sample, kwargs)
        labels = {k: v for k, v in fields.items() if k != "id" and k not in kwargs}
        return Arguments((kwargs,), {}, labels) if self.is_invoked else Arguments((), kwargs, labels)

    def _from_named_input(self, sample: Sample) -> Arguments:
        """Return the arguments of a program with a parameter ``input``: that, and what it can't be called without."""
        value = sample.fields["input"]
        if isinstance(value, Mapping) and "input" in value:
            return self._from_input(sample)
        kwargs = {name: sample.fields[name] for name in self.required if name in sample.fields} | {"input": value}
        self._check_all(sample, kwargs)
        return Arguments((), kwargs, {k: v for k, v in sample.fields.items() if k != "id" and k not in kwargs})

    def _check_all(self, sample: Sample, kwargs: Mapping[str, Any]) -> None:
        """Raise UsageError for a required argument that is missing."""
        missing = [name for name in self.required if name not in kwargs]
        if missing:
            raise UsageError(
                f"{sample.label} has no field {', '.join(f'`{name}`' for name in missing)}, which {self.name}"
                f"({', '.join(self.parameters)}) needs. It has: {', '.join(sample.fields)}. "
                "Name the fields like the program's parameters, or put its arguments in a field `input`"
            )

    def _from_input(self, sample: Sample) -> Arguments:
        value = sample.fields["input"]
        labels = {k: v for k, v in sample.fields.items() if k not in {"id", "input"}}
        if not isinstance(value, Mapping) or self.is_invoked:
            return Arguments((value,), {}, labels)
        if self.parameters:
            missing = [name for name in self.required if name not in value]
            unknown = [str(name) for name in value if name not in self.parameters]
            if missing or unknown:
                wrong = [f"lacks `{name}`" for name in missing] + [f"has `{name}`" for name in unknown]
                raise UsageError(
                    f"{sample.label}: its `input` {', '.join(wrong)}; {self.name} takes ({', '.join(self.parameters)})"
                )
        return Arguments((), dict(value), labels)


def _wanted_fields(program: object) -> tuple[str, ...]:
    """Return the fields that an object with ``invoke`` says its one argument must have; empty where it says nothing.

    LangChain's chains say it, as JSON schema. The state of a graph (which has channels) also holds what nodes write, so
    there a label of the same name would leak: its samples need ``input``.
    """
    read = getattr(program, "get_input_jsonschema", None)
    if not callable(read) or hasattr(program, "channels"):
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            schema = read()
        found = schema.get("required", ()) if schema.get("type") == "object" else ()
        return tuple(str(name) for name in found)
    except Exception:  # of a program that runs all the same
        return ()


def _name_of(program: object) -> str:
    return getattr(program, "__qualname__", None) or getattr(program, "__name__", None) or type(program).__name__


def ground_truth(labels: Mapping[str, Any]) -> str:
    """Return the labels of a sample as text for the critic: the value itself when there is one, else JSON of all."""
    if not labels:
        return ""
    if len(labels) == 1:
        value = next(iter(labels.values()))
        return value if isinstance(value, str) else canonical(value).decode("utf-8", "replace")
    return canonical(dict(labels)).decode("utf-8", "replace")
