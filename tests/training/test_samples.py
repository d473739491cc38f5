"""Samples: ids, files, and how fields become arguments."""

import functools
import json

import pytest

from tracediff.errors import DataError, UsageError
from tracediff.training.samples import Binding, data_hash, ground_truth, read_samples


def bound(program, **fields):
    return Binding.of(program).arguments(read_samples([{"id": "s1", **fields}])[0])


def answer(question, hint="none"):
    return question, hint


def test_fields_named_like_parameters_are_passed_and_the_rest_are_labels():
    got = bound(answer, question="q", label="l")
    assert (got.args, dict(got.kwargs), dict(got.labels)) == ((), {"question": "q"}, {"label": "l"})


def test_an_input_mapping_becomes_keyword_arguments():
    got = bound(answer, input={"question": "q", "hint": "h"}, label="l")
    assert (got.args, dict(got.kwargs), dict(got.labels)) == ((), {"question": "q", "hint": "h"}, {"label": "l"})


def test_any_other_input_is_the_one_argument():
    assert bound(answer, input="text").args == ("text",)
    assert bound(answer, input=["a"]).args == (["a"],)


def test_what_is_missing_is_named_with_the_sample():
    with pytest.raises(UsageError, match=r"sample 's1' has no field `question`, which answer\(question, hint\) needs"):
        bound(answer, query="q")
    with pytest.raises(UsageError, match="lacks `question`, has `query`"):
        bound(answer, input={"query": "q"})


def test_labels_never_leak_into_kwargs_or_invoke():
    class Chain:
        def invoke(self, value):
            return value

    with pytest.raises(UsageError, match="has no field `input`"):
        bound(lambda **kwargs: kwargs, question="q", label="l")
    with pytest.raises(UsageError, match="has no field `input`"):
        bound(Chain(), question="q")
    assert bound(Chain(), input={"question": "q"}).args == ({"question": "q"},)
    assert dict(bound(lambda **kwargs: kwargs, input={"question": "q"}, label="l").kwargs) == {"question": "q"}


def test_labels_never_leak_into_a_program_with_a_parameter_named_input():
    def guess(input, answer=None):
        return input, answer

    def with_context(input, context, answer=None):
        return input, context, answer

    got = bound(guess, input="q", answer="4")
    assert (got.args, dict(got.kwargs), dict(got.labels)) == ((), {"input": "q"}, {"answer": "4"})
    assert dict(bound(guess, input={"question": "q"}).kwargs) == {"input": {"question": "q"}}
    assert dict(bound(guess, input={"input": "q", "answer": "5"}, answer="4").kwargs) == {"input": "q", "answer": "5"}
    got = bound(with_context, input="q", context="c", answer="4")
    assert (dict(got.kwargs), dict(got.labels)) == ({"input": "q", "context": "c"}, {"answer": "4"})
    with pytest.raises(UsageError, match="has no field `context`"):
        bound(with_context, input="q", answer="4")


def test_methods_and_partials_are_bound():
    class Program:
        def __call__(self, question):
            return question

        def ask(self, question):
            return question

    for program in (Program(), Program().ask, functools.partial(answer, hint="h")):
        assert dict(bound(program, question="q", label="l").kwargs) == {"question": "q"}


def test_what_can_not_be_called_is_no_program():
    with pytest.raises(UsageError, match="a callable or an object with invoke, not str"):
        Binding.of("program")
    with pytest.raises(UsageError, match="not the class dict"):
        Binding.of(dict)


def test_evaluate_and_trace_run_the_same_of_an_object_with_several_entries():
    from tracediff.graph.runs import entry

    class Both:
        def __call__(self, value):
            return "called"

        def invoke(self, value):
            return "invoked"

    class Later:
        async def ainvoke(self, value):
            return value

    for program in (Both(), Later()):
        assert Binding.of(program).call == entry(program)
    assert Binding.of(Both()).call("x") == "invoked"


def test_an_id_is_made_from_the_content():
    first, again, other = read_samples([{"q": "a"}, {"q": "a"}, {"q": "b"}])
    assert first.id == read_samples([{"q": "a"}])[0].id
    assert again.id == f"{first.id}-2"
    assert other.id not in (first.id, again.id)
    assert first.fields["id"] == first.id


def test_the_metric_gets_the_id_as_it_was_given():
    (sample,) = read_samples([{"id": 7, "q": "a"}])
    assert (sample.id, sample.fields["id"]) == ("7", 7)


def test_an_id_that_is_given_twice_is_refused():
    with pytest.raises(DataError, match=r"train\[2\]: the id 'x' is already that of train\[0\]"):
        read_samples([{"id": "x", "q": 1}, {"id": "y"}, {"id": "x", "q": 2}], "train")


def test_a_file_is_read_by_lines_and_errors_name_file_and_line(tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_text('{"id": 1, "q": "a"}\n\n{"q": "b"}\n')
    assert [sample.id for sample in read_samples(file)][0] == "1"
    assert read_samples(str(file))[1].origin == f"{file}:3"
    file.write_text('{"q": "a"}\n{"q": \n')
    with pytest.raises(DataError, match=r"data\.jsonl:2: no JSON object"):
        read_samples(file)
    file.write_text('{"q": "a"}\n[1]\n')
    with pytest.raises(DataError, match=r"data\.jsonl:2: a sample must be a mapping"):
        read_samples(file)
    with pytest.raises(DataError, match=r"missing\.jsonl can't be read"):
        read_samples(tmp_path / "missing.jsonl")


@pytest.mark.parametrize("data", [[], "", {"a": 1}, 7])
def test_no_samples_at_all_is_an_error(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError):
        read_samples(data)


def test_the_hash_of_the_data_follows_content_and_order():
    rows = [{"id": "a", "q": 1}, {"id": "b", "q": 2**70}]
    assert data_hash(read_samples(rows)) == data_hash(read_samples([dict(row) for row in rows]))
    assert data_hash(read_samples(rows)) != data_hash(read_samples(rows[::-1]))


def test_the_ground_truth_is_the_label_or_all_of_them():
    assert ground_truth({}) == ""
    assert ground_truth({"answer": "7"}) == "7"
    assert ground_truth({"answer": 7}) == "7"
    assert json.loads(ground_truth({"answer": "7", "titles": ["a"]})) == {"answer": "7", "titles": ["a"]}


def test_a_chain_that_says_what_it_takes_gets_these_fields_of_a_sample():
    class Chain:
        def invoke(self, value):
            return value

        def get_input_jsonschema(self):
            return {"type": "object", "required": ["question"], "properties": {"question": {}, "style": {}}}

    got = bound(Chain(), question="q", style="s", label="l")
    assert got.args == ({"question": "q"},)
    assert dict(got.labels) == {"style": "s", "label": "l"}
    assert bound(Chain(), input="whole").args == ("whole",)
    with pytest.raises(UsageError, match="has no field `question`, which Chain"):
        bound(Chain(), label="l")


def test_a_graph_whose_state_may_hold_labels_still_needs_input():
    class Graph:
        channels = {}

        def invoke(self, value):
            return value

        def get_input_jsonschema(self):
            return {"type": "object", "required": ["question", "answer"]}

    with pytest.raises(UsageError, match="has no field `input`"):
        bound(Graph(), question="q", answer="label")


def test_a_chain_whose_schema_can_not_be_read_needs_input():
    class Odd:
        def invoke(self, value):
            return value

        def get_input_jsonschema(self):
            raise TypeError("no schema")

    with pytest.raises(UsageError, match="has no field `input`"):
        bound(Odd(), question="q")
