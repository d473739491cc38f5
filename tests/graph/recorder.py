"""A small recorder by hand: the same records as tracediff.capture makes, for tests of the graph alone."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from contextvars import ContextVar

from tracediff import functional_node
from tracediff.attributes import YIELDS
from tracediff.capture.recorder import begin
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.values import Obj, Placeholder
from tracediff.graph.runs import record
from tracediff.parameters import Parameter, render, slots

_parent: ContextVar[str | None] = ContextVar("parent", default=None)


class HandRecorder:
    """Records calls of plain functions; thread safe where the generator needs it."""

    def __init__(self, run_id="0" * 32):
        self.run_id = run_id
        self.records = []
        self._sequence = itertools.count(1)
        self._ids = itertools.count(1)
        self._seen = {}
        self._lock = threading.Lock()

    def snapshot(self, value, path, found):
        if isinstance(value, str):
            if len(value) > 1:
                found.append((path, value))
            return value
        if value is None or isinstance(value, (int, float)):
            return value
        if isinstance(value, (list, tuple)):
            return type(value)(self.snapshot(item, f"{path}[{i}]", found) for i, item in enumerate(value))
        if isinstance(value, dict):
            return {
                key: self.snapshot(item, f"{path}.{key}" if path else str(key), found) for key, item in value.items()
            }
        fields = None
        if dataclasses.is_dataclass(value):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        elif hasattr(type(value), "model_fields"):
            fields = {name: getattr(value, name) for name in type(value).model_fields}
        if fields is None:
            return Placeholder(type(value).__name__)
        return Obj(type(value).__name__, self.snapshot(fields, path, found))

    def refs(self, found):
        result = []
        for path, value in found:
            entry = self._seen.get(id(value))
            if entry is not None:
                result.append(Ref(path, entry[1], entry[2], entry[3]))
        return tuple(result)

    def put_out(self, record_id, found):
        with self._lock:
            for path, value in found:
                entry = self._seen.get(id(value))
                self._seen[id(value)] = (value, record_id, path, 1 if entry is None else entry[3] + 1)

    def begin(self, name, kind, inputs, parameter=None):
        found = []
        snapshot = {key: self.snapshot(value, key, found) for key, value in inputs.items()}
        with self._lock:
            start = next(self._sequence)
            record_id = f"{next(self._ids):016x}"
        return dict(
            id=record_id,
            run_id=self.run_id,
            parent_id=_parent.get(),
            name=name,
            kind=kind,
            start=start,
            start_ns=start,
            inputs=snapshot,
            refs=self.refs(found),
            parameter=parameter,
        )

    def end(self, fields, output=None, error=None):
        found = []
        snapshot = self.snapshot(output, "", found)
        self.put_out(fields["id"], found)
        with self._lock:
            end = next(self._sequence)
            self.records.append(SpanRecord(**fields, end=end, end_ns=end, output=snapshot, error=error))

    def call(self, name, kind, inputs, function):
        fields = self.begin(name, kind, inputs)
        token = _parent.set(fields["id"])
        try:
            output = function(**inputs)
        except Exception as error:
            _parent.reset(token)
            self.end(fields, error=f"{type(error).__name__}: {error}")
            raise
        _parent.reset(token)
        self.end(fields, output)
        return output

    def prompt(self, name, text, values):
        parameter = Parameter(name, text, tuple(slots(text)))
        fields = self.begin(name, "prompt", values, parameter)
        output = render(text, {key: str(value) for key, value in values.items()})
        self.end(fields, output)
        return output

    def stream(self, name, kind, inputs, items):
        """Yield items as a traced generator does: known from the moment each is yielded."""
        fields = self.begin(name, kind, inputs)
        yielded, yields = [], []
        for item in items:
            found = []
            self.snapshot(item, f"[{len(yielded)}]", found)
            yielded.append(item)
            self.put_out(fields["id"], found)
            with self._lock:
                yields.append(next(self._sequence))
            yield item
        snapshot = self.snapshot(yielded, "", [])
        with self._lock:
            end = next(self._sequence)
            self.records.append(SpanRecord(**fields, end=end, end_ns=end, output=snapshot, attributes={YIELDS: yields}))


class LiveRecorder:
    """The same interface over tracediff's own decorators and recorder."""

    def __init__(self):
        self._block = record()
        self.run = self._block.__enter__()

    def close(self, output):
        self.run.set_output(output)
        self._block.__exit__(None, None, None)

    @property
    def records(self):
        return self.run.records

    def call(self, name, kind, inputs, function):
        names = ", ".join(inputs)
        space = {"function": function}
        pairs = ", ".join(f"{key}={key}" for key in inputs)
        exec(f"def traced({names}):\n    return function({pairs})", space)
        return functional_node(name=name, kind=kind)(space["traced"])(**inputs)

    def prompt(self, name, text, values):
        parameter = Parameter(name, text, tuple(slots(text)))
        call = begin(name, "prompt", values, parameter=parameter)
        output = render(text, {key: str(value) for key, value in values.items()})
        call.end(output)
        return output

    def stream(self, name, kind, inputs, items):
        def traced(text):
            yield from items

        return functional_node(name=name, kind=kind)(traced)(**inputs)
