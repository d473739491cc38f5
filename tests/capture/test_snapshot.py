from __future__ import annotations

import dataclasses
import enum
import types
from collections import OrderedDict, defaultdict, deque, namedtuple

import attrs
import numpy
import pydantic
import pytest
from openai.types.chat import ChatCompletionMessage

from tracediff.capture.recorder import begin
from tracediff.capture.recording import Recording
from tracediff.capture.snapshot import Caps, Walk, snapshot
from tracediff.capture.values import Cut, Obj, Placeholder, leaves
from tracediff.graph.runs import record


@dataclasses.dataclass
class Point:
    x: int
    label: str


@dataclasses.dataclass(slots=True, frozen=True)
class Slotted:
    text: str


@attrs.define
class Attrs:
    text: str


class Doc(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    text: str
    meta: dict[str, str] = {}

    def model_dump(self, *args, **kwargs):
        raise AssertionError("model_dump makes new objects")


class Colour(enum.Enum):
    RED = "red"


class Label(enum.StrEnum):
    YES = "yes"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


Pair = namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("text", "text"),
        (3, 3),
        (True, True),
        (None, None),
        ([1, ("a", {"k": 2.5})], [1, ("a", {"k": 2.5})]),
        ({"b", "a"}, ["a", "b"]),
        (deque([1, 2]), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        ({1: "a", (1, "b"): "c"}, {1: "a", (1, "b"): "c"}),
        (Point(1, "p"), Obj(f"{__name__}.Point", {"x": 1, "label": "p"})),
        (Slotted("s"), Obj(f"{__name__}.Slotted", {"text": "s"})),
        (Attrs("s"), Obj(f"{__name__}.Attrs", {"text": "s"})),
        (Doc(text="d", more="e"), Obj(f"{__name__}.Doc", {"text": "d", "meta": {}, "more": "e"})),
        (Pair("l", 2), Obj(f"{__name__}.Pair", {"left": "l", "right": 2})),
        (types.SimpleNamespace(a="b"), Obj("types.SimpleNamespace", {"a": "b"})),
        (Colour.RED, Obj(f"{__name__}.Colour", {"name": "RED", "value": "red"})),
        (Label.YES, "yes"),
        (Level.HIGH, 3),
        (Text("sub"), "sub"),
        (numpy.float64(1.5), 1.5),
        (numpy.int32(4), 4),
        (numpy.str_("n"), "n"),
        (numpy.bool_(True), True),
        (object(), Placeholder("object")),
        (numpy.zeros(3), Placeholder("numpy.ndarray")),
        (len, Placeholder("builtin_function_or_method")),
    ],
)
def test_what_is_read_and_what_is_not(given, expected):
    taken = snapshot(given)
    assert taken == expected
    assert type(taken) is type(expected)


def test_bytes_keep_length_and_hash_only():
    taken = snapshot(b"abc")
    assert taken == Cut("bytes", None, 3, "ba7816bf8f01cfea")


def test_a_client_library_message_is_read_with_its_own_strings():
    content = "".join(["the ", "answer"])
    message = ChatCompletionMessage(role="assistant", content=content)
    with record() as run:
        begin("a", "llm", {}).end(message)
        begin("b", "function", {"text": message.content}).end()
    (ref,) = run.records[1].refs
    assert ref.source_path == "content"


class Hostile:
    """Breaks whatever a careless reader touches."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError("repr")

    def __eq__(self, other):
        raise RuntimeError("eq")

    def __hash__(self):
        raise RuntimeError("hash")

    def __bool__(self):
        raise RuntimeError("bool")

    def __len__(self):
        raise RuntimeError("len")

    def __iter__(self):
        raise RuntimeError("iter")


class HostileClass:
    @property
    def __class__(self):
        raise RuntimeError("class")

    @property
    def __dict__(self):
        raise RuntimeError("dict")


class HostileDict(dict):
    def items(self):
        raise RuntimeError("items")

    def __iter__(self):
        raise RuntimeError("iter")


class HostileList(list):
    def __iter__(self):
        raise RuntimeError("iter")

    def __len__(self):
        raise RuntimeError("len")


@dataclasses.dataclass
class HostileFields:
    good: str = "kept"

    @property
    def __dict__(self):
        raise RuntimeError("dict")


def test_no_code_of_the_program_runs():
    assert snapshot(Hostile()) == Placeholder(f"{__name__}.Hostile")
    assert snapshot([HostileClass()]) == [Placeholder(f"{__name__}.HostileClass")]
    assert snapshot(HostileDict(a=1)) == {"a": 1}
    assert snapshot(HostileList([1])) == [1]
    assert snapshot(HostileFields()) == Obj(f"{__name__}.HostileFields", {})


def test_nothing_is_consumed():
    generator = (i for i in range(3))
    pairs = zip("ab", "cd", strict=True)
    assert snapshot({"g": generator, "z": pairs}) == {"g": Placeholder("generator"), "z": Placeholder("zip")}
    assert list(generator) == [0, 1, 2]
    assert list(pairs) == [("a", "c"), ("b", "d")]


def test_cycles_and_depth_end():
    cyclic = [1]
    cyclic.append(cyclic)
    assert snapshot(cyclic) == [1, Placeholder("list", "cycle")]
    deep: object = "bottom"
    for _ in range(5_000):
        deep = [deep]
    taken = snapshot(deep)
    for _ in range(63):
        taken = taken[0]
    assert taken == [Placeholder("list", "depth")]


def test_the_same_object_twice_is_no_cycle():
    shared = ["x"]
    assert snapshot([shared, shared]) == [["x"], ["x"]]


def test_a_wide_dag_is_cut_not_expanded():
    dag: object = []
    for _ in range(60):
        dag = [dag, dag]
    assert len(repr(snapshot(dag))) < 10_000_000  # 2**60 leaves would never return


def test_caps_leave_head_length_and_digest():
    caps = Caps(leaves=5, leaf_chars=10)
    text = Walk(caps=caps).take("x" * 25)
    assert (text.type, text.head, text.length) == ("str", "x" * 10, 25)
    many = Walk(caps=caps).take(list(range(1000)))
    assert (many.type, many.head, many.length) == ("list", [0, 1, 2, 3], 1000)
    assert many.digest != Walk(caps=caps).take([*range(999), 7]).digest
    assert dict(leaves(many))["[3]"] == 3


def test_secrets_are_redacted_wherever_they_stand():
    given = {
        "api_key": "sk-1",
        "openaiApiKey": "sk-2",
        "password": "hunter2",
        "client_secret": "s",
        "Authorization": "Bearer x",
        "nested": [{"access_token": "abc"}],
        "key": "sk-abcdef123",
        "max_tokens": 5,
        "tokens": ["a"],
        "keyword": "fine",
        "monkey": "fine",
    }
    text = repr(snapshot(given))
    for secret in ("sk-1", "sk-2", "hunter2", "Bearer", "abc", "'s'"):
        assert secret not in text
    assert snapshot(given)["max_tokens"] == 5
    assert snapshot(given)["keyword"] == snapshot(given)["monkey"] == "fine"
    for name in ("key", "answer_key", "next_token"):
        assert snapshot({name: "Paris"}) == {name: "Paris"}  # a lookup key, not a credential


def test_a_secret_argument_is_redacted_in_the_record():
    with record() as run:
        begin("f", "function", {"api_key": "sk-very-secret", "q": "x"}).end("out")
    assert "sk-very-secret" not in repr(run.records)


def test_objects_are_found_again_where_they_went():
    docs = [Doc(text="".join(["first ", "text"])), Doc(text="".join(["second ", "text"]))]
    opaque = object()
    with record() as run:
        begin("retrieve", "retriever", {}).end({"docs": docs, "handle": opaque})
        begin("use", "function", {"all": docs, "one": docs[1].text, "handle": opaque}).end()
    found = {ref.path: ref.source_path for ref in run.records[1].refs}
    assert found["all"] == "docs"
    assert found["all[1]"] == "docs[1]"
    assert found["all[0].text"] == "docs[0].text"
    assert found["one"] == "docs[1].text"
    assert found["handle"] == "handle"
    assert {ref.producers for ref in run.records[1].refs} == {1}


def test_shared_atoms_are_no_evidence():
    with record() as run:
        begin("a", "function", {}).end([1, True, None, "", "y", (), Colour.RED, int])
        begin("b", "function", {"v": 1, "t": True, "s": "y", "e": "", "u": (), "c": Colour.RED, "k": int}).end()
    assert run.records[1].refs == ()


def test_one_object_put_out_twice_says_so():
    text = "".join(["some ", "text"])
    with record() as run:
        begin("a", "function", {}).end([text, text])
        begin("b", "function", {"t": text}).end(text)
        begin("c", "function", {"t": text}).end()
    assert run.records[1].refs[0].producers == 1
    assert (run.records[2].refs[0].source, run.records[2].refs[0].producers) == (run.records[1].id, 2)


def test_ids_are_not_reused_within_a_run():
    recording = Recording()
    with recording.attached():
        for number in range(200):
            begin("a", "function", {}).end([f"{number} out"])  # would be freed and its address used again
        begin("b", "function", {"v": [f"{number} in" for number in range(200)]}).end()
    recording.close()
    assert recording.records[-1].refs == ()
