from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracediff.capture import codec
from tracediff.capture.records import Ref, SpanRecord
from tracediff.capture.runfile import RunFile, read_run, write_run
from tracediff.capture.values import Cut, Obj, Placeholder
from tracediff.errors import DataError
from tracediff.parameters import Parameter
from tracediff.scores import Score

text = st.text(st.characters(), max_size=8) | st.text(st.characters(categories=["Cs"]), max_size=3)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**60, max_value=2**80)
    | st.floats()
    | text
    | st.binary(max_size=5)
)
keys = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text | st.tuples(st.integers(), text)
names = text | st.sampled_from(["$tuple", "$obj", "$dict", "$", "fields"])
values = st.recursive(
    scalars | st.builds(Placeholder, names, names),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys | names, inner, max_size=4)
        | st.builds(Obj, names, st.dictionaries(names, inner, max_size=3))
        | st.builds(Cut, names, inner, st.integers(), names)
    ),
    max_leaves=12,
)


def same(a, b) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(k, l) and same(v, w) for (k, v), (l, w) in zip(a.items(), b.items()))
    if isinstance(a, Obj):
        return a.type == b.type and same(a.fields, b.fields)
    if isinstance(a, Cut):
        return (a.type, a.length, a.digest) == (b.type, b.length, b.digest) and same(a.head, b.head)
    return a == b


@given(values)
def test_round_trip_of_a_value_is_identity(value):
    line = codec.dumps(value)
    assert "\n" not in line
    assert same(codec.loads(line), value)


@given(st.integers(min_value=10**5000, max_value=10**5000 + 5))
@settings(max_examples=3)
def test_integers_beyond_pythons_own_text_limit(value):
    assert codec.loads(codec.dumps(value)) == value


records = st.builds(
    SpanRecord,
    id=st.just("00000000000000aa"),
    run_id=st.just("ab" * 16),
    parent_id=st.none() | st.just("00000000000000bb"),
    name=text,
    kind=text,
    start=st.integers(0, 100),
    end=st.integers(0, 100),
    start_ns=st.integers(0, 2**62),
    end_ns=st.integers(0, 2**62),
    inputs=st.dictionaries(names, values, max_size=3),
    output=values,
    refs=st.lists(st.builds(Ref, text, st.just("00000000000000cc"), text, st.integers(1, 5)), max_size=2).map(tuple),
    error=st.none() | text,
    description=text,
    parameter=st.none()
    | st.builds(
        Parameter,
        text,
        text,
        variables=st.lists(text, max_size=2).map(tuple),
        role=text,
        instruction=text,
        trainable=st.booleans(),
        frozen=st.lists(text, max_size=2).map(tuple),
        max_chars=st.none() | st.integers(1, 9),
        file=text,
        line=st.integers(0, 9),
    ),
    attributes=st.dictionaries(names, values, max_size=2),
)


@given(records)
@settings(max_examples=40)
def test_round_trip_of_a_record_is_identity(record):
    back = codec.record_from_json(codec.record_to_json(record))
    for field in SpanRecord.__slots__:
        mine, theirs = getattr(record, field), getattr(back, field)
        assert theirs == mine or same(theirs, mine), field


def test_what_orjson_refuses_for_depth_is_still_written():
    deep: object = "x"
    for _ in range(300):
        deep = [deep]
    assert codec.loads(codec.dumps(deep)) == deep


def test_live_objects_are_refused_by_name():
    with pytest.raises(DataError, match="object can't be written; take a snapshot"):
        codec.dumps([object()])


def make_run() -> RunFile:
    record = SpanRecord("aa", "ab" * 16, None, "m.f", "function", 1, 2, 3, 4, {"q": ("t",)}, "out\ud800")
    return RunFile(
        "ab" * 16,
        "s1",
        (record,),
        output={1: "out"},
        output_refs=(Ref("output[1]", "aa", "", 1),),
        scores=(("f1", Score(0.5, "half")),),
        error="ValueError: x",
    )


def test_a_run_file_reads_back_and_is_private(tmp_path):
    path = tmp_path / "run.jsonl"
    write_run(path, make_run())
    assert read_run(path) == make_run()
    assert path.stat().st_mode & 0o777 == 0o600
    header, *lines = path.read_text().splitlines()
    assert json.loads(header)["tracediff"] == 1
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("line", "replaced", "message"),
    [
        (0, "{}", "line 1: expected a header"),
        (0, '{"tracediff": 99}', "line 1: version 99"),
        (0, '{"tracediff": 1}', "line 1: lacks 'run_id'"),
        (1, "{broken", "line 2: this is no JSON"),
        (1, '{"id": "a"}', "line 2: a record lacks 'run_id'"),
        (1, "[]", "line 2: this is no record"),
        (1, '{"$new": 1}', "line 2: a record lacks 'id'"),
    ],
)
def test_a_damaged_run_file_names_file_and_line(tmp_path, line, replaced, message):
    path = tmp_path / "run.jsonl"
    write_run(path, make_run())
    lines = path.read_text().splitlines()
    lines[line] = replaced
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=message) as raised:
        read_run(path)
    assert str(path) in str(raised.value)


def test_a_missing_or_empty_run_file(tmp_path):
    with pytest.raises(DataError, match="nowhere.jsonl: can't be read"):
        read_run(tmp_path / "nowhere.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match="is empty"):
        read_run(tmp_path / "empty.jsonl")
