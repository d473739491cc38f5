"""What a backward pass costs and where feedback goes, on graphs made by hand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracediff.autodiff import Loss, backward, backward_batch
from tracediff.capture import functional_node, trainable_prompt
from tracediff.errors import MetricError
from tracediff.graph import ParameterGraph
from tracediff.graph.runs import record
from tracediff.scores import Score
from tracediff.testing import RunBuilder, ScriptedEngine, feedback_for

WRONG = Score(0.0, "wrong count")


def texts(gradients, name):
    return [gradient.feedback for gradient in gradients.parameters.get(name, ())]


def counting():
    """task, ask -> llm -> parse"""
    run = RunBuilder("s1")
    task = run.prompt("app.task", "Count.", role="how to count")
    ask = run.prompt("app.ask", "Q: {question}", question="how many?")
    answer = run.llm("app.answer:chat", "7", messages=[task, ask])
    parsed = run.call("app.parse", 7, text=answer)
    return run, parsed


def test_peers_cost_one_call_and_pass_through_and_metric_feedback_cost_none():
    run, parsed = counting()
    engine = ScriptedEngine()
    gradients = backward(run.graph(parsed), WRONG, engine)
    assert engine.calls == gradients.engine_calls == 1
    assert texts(gradients, "app.task") == ["change p1"]
    assert texts(gradients, "app.ask") == ["change p2"]
    user = engine.requests[0].user
    assert '<feedback from="app.parse#0"' in user
    assert "wrong count" in user  # unchanged through parse


def test_a_loss_without_feedback_costs_one_call_more():
    run, parsed = counting()
    engine = ScriptedEngine()
    gradients = backward(run.graph(parsed), Loss(0.25, ground_truth=8), engine)
    assert engine.calls == 2
    loss, llm = (request.user for request in engine.requests)
    assert '<task kind="loss">' in loss
    assert "<expected>\n8\n</expected>" in loss
    assert "<score>0.25</score>" in loss
    assert "change output" in llm
    assert texts(gradients, "app.task") == ["change p1"]


@pytest.mark.parametrize("loss", [1.0, Score(1.0), Loss(1.0), True])
def test_a_sample_that_passed_costs_nothing_and_leaves_a_note(loss):
    run, parsed = counting()
    engine = ScriptedEngine()
    gradients = backward(run.graph(parsed), loss, engine)
    assert engine.calls == 0
    for name in ("app.task", "app.ask"):
        (note,) = gradients.parameters[name]
        assert note.is_note
        assert note.score == 1.0
        assert note.sample_id == "s1"


def test_the_threshold_is_inclusive():
    run, parsed = counting()
    engine = ScriptedEngine()
    gradients = backward(run.graph(parsed), Score(0.8, "almost"), engine, threshold=0.8)
    assert engine.calls == 0
    assert gradients.parameters["app.task"][0].is_note
    backward(run.graph(parsed), Score(0.79, "almost"), engine, threshold=0.8)
    assert engine.calls == 1


def test_a_loss_that_is_no_number_in_range_is_refused():
    run, parsed = counting()
    with pytest.raises(MetricError):
        backward(run.graph(parsed), 1.5, ScriptedEngine())
    with pytest.raises(MetricError):
        Loss(0.0, nodes={"app.parse": float("nan")})


def retrieval(top_k: object = 2):
    run = RunBuilder("s1")
    ask = run.prompt("app.ask", "Search for {question}", question="Q")
    query = run.llm("app.query:chat", "a query", messages=[ask])
    docs = run.call("app.retrieve", ["d1", "d2"], kind="retriever", query=query, top_k=top_k)
    prompt = run.prompt("app.answer_prompt", "Use {docs} for {question}", docs=docs, question="Q")
    answer = run.llm("app.answer:chat", "Paris", messages=[prompt])
    return run, answer


def test_a_constant_setting_is_no_input():
    run, answer = retrieval(top_k=2)
    engine = ScriptedEngine()
    backward(run.graph(answer), WRONG, engine)
    assert engine.calls == 2  # the answer and the query; the retriever passes through


def test_what_stands_in_a_prompts_slot_is_judged_apart_from_the_prompt():
    run, answer = retrieval()

    def critic(request):
        if "app.answer:chat" in request.user:
            return {"feedback": {"p1": "", "i1": "the documents miss the capital"}, "no_cause": False}
        return feedback_for(request)

    engine = ScriptedEngine(critic)
    gradients = backward(run.graph(answer), WRONG, engine)
    assert "app.answer_prompt" not in gradients.parameters
    assert texts(gradients, "app.ask") == ["change p1"]
    first, second = (request.user for request in engine.requests)
    assert '<input id="i1" argument="docs" from="app.retrieve#0">' in first
    assert "the documents miss the capital" in second  # reached the query through retriever
    assert "wrong count" not in second


def test_advice_for_a_prompt_does_not_go_on_to_what_filled_its_slots():
    run, answer = retrieval()

    def critic(request):
        if "app.answer:chat" in request.user:
            return {"feedback": {"p1": "ask for one city", "i1": ""}, "no_cause": False}
        return feedback_for(request)

    engine = ScriptedEngine(critic)
    gradients = backward(run.graph(answer), WRONG, engine)
    assert engine.calls == 1
    assert {name: texts(gradients, name) for name in gradients.parameters} == {
        "app.answer_prompt": ["ask for one city"]
    }


def test_a_prompt_that_a_model_and_a_function_read_passes_only_the_functions_feedback():
    run = RunBuilder("s1")
    name = run.llm("app.name:chat", "Rex", messages=[run.prompt("app.task", "Name one.")])
    letter = run.prompt("app.letter", "Dear {name}", name=name)
    reply = run.llm("app.reply:chat", "Woof", messages=[letter])
    engine = ScriptedEngine(
        lambda request: {
            "function-node": {"feedback": {"i1": "the letter is stiff", "i2": "the reply is short"}},
            "llm-node": {"feedback": {"p1": "advice", "i1": ""}},
        }["function-node" if 'kind="function-node"' in request.user else "llm-node"]
    )
    gradients = backward(run.graph(run.call("app.pair", "x", parts=[letter, reply])), WRONG, engine)
    assert texts(gradients, "app.letter") == ["advice", "the letter is stiff"]
    assert [g.feedback for g in gradients.nodes["s1/app.name:chat#0"]] == ["the letter is stiff"]


def test_feedback_on_a_prompts_text_passes_to_its_slots_where_no_model_read_it():
    run = RunBuilder("s1")
    task = run.prompt("app.task", "Name one.")
    name = run.llm("app.name:chat", "Rex", messages=[task])
    letter = run.prompt("app.letter", "Dear {name}", name=name)
    engine = ScriptedEngine()
    gradients = backward(run.graph(letter), Score(0.0, "too stiff"), engine)
    assert texts(gradients, "app.letter") == ["too stiff"]
    assert texts(gradients, "app.task") == ["change p1"]
    assert engine.calls == 1


def test_several_live_inputs_are_attributed_in_one_call():
    run = RunBuilder("s1")
    drafts = []
    for name in ("a", "b", "c"):
        task = run.prompt(f"app.{name}", f"Write {name}.")
        drafts.append(run.llm(f"app.{name}:chat", f"text {name}", messages=[task]))
    joined = run.call("app.join", "text a b c", parts=drafts, separator=" ")

    def critic(request):
        if 'kind="function-node"' in request.user:
            return {"feedback": {"i1": "", "i2": "b is wrong", "i3": ""}, "no_cause": False}
        return feedback_for(request)

    engine = ScriptedEngine(critic)
    gradients = backward(run.graph(joined), WRONG, engine)
    assert engine.calls == 2
    assert set(gradients.parameters) == {"app.b"}
    assert "b is wrong" in engine.requests[1].user
    assert '<context argument="separator">' in engine.requests[0].user


def test_one_source_in_two_arguments_is_one_live_input():
    run = RunBuilder("s1")
    task = run.prompt("app.task", "Write.")
    draft = run.llm("app.draft:chat", "text", messages=[task])
    both = run.call("app.both", "text text", left=draft, right=draft)
    engine = ScriptedEngine()
    backward(run.graph(both), WRONG, engine)
    assert engine.calls == 1


def test_several_nodes_that_make_the_output_are_attributed():
    run = RunBuilder("s1")
    ends = [run.llm(f"app.{n}:chat", n, messages=[run.prompt(f"app.{n}", n)]) for n in "ab"]
    engine = ScriptedEngine()
    gradients = backward(run.graph(ends), WRONG, engine)
    assert engine.calls == 3
    assert set(gradients.parameters) == {"app.a", "app.b"}


def test_nodes_without_a_parameter_upstream_get_nothing_but_stay_in_view():
    run = RunBuilder("s1")
    facts = run.call("app.facts", "cats are animals")
    frozen = run.prompt("app.rules", "Obey the rules.", trainable=False)
    task = run.prompt("app.task", "Count.")
    answer = run.llm("app.answer:chat", "7", system=frozen, messages=[task], facts=facts)
    engine = ScriptedEngine()
    gradients = backward(run.graph(answer), WRONG, engine)
    assert set(gradients.parameters) == {"app.task"}
    assert set(gradients.nodes) == {"s1/app.task#0", "s1/app.answer:chat#0"}
    user = engine.requests[0].user
    assert "cats are animals" in user
    assert 'name="app.rules" role="" trainable="no"' in user
    ids = json.loads(engine.requests[0].schema)["properties"]["feedback"]["properties"]
    assert list(ids) == ["p1"]


def test_without_any_trainable_parameter_nothing_is_asked():
    run = RunBuilder("s1")
    task = run.prompt("app.task", "Count.", trainable=False)
    answer = run.llm("app.answer:chat", "7", messages=[task])
    engine = ScriptedEngine()
    gradients = backward(run.graph(answer), 0.0, engine)
    assert engine.calls == 0
    assert not gradients.parameters
    assert "trainable parameter" in gradients.notes[0]


def test_branches_that_do_not_reach_the_loss_are_not_visited():
    run = RunBuilder("s1")
    task = run.prompt("app.task", "Count.")
    answer = run.llm("app.answer:chat", "7", messages=[task])
    run.llm("app.log:chat", "logged", messages=[run.prompt("app.log", "Log."), answer])
    engine = ScriptedEngine()
    gradients = backward(run.graph(answer), WRONG, engine)
    assert engine.calls == 1
    assert set(gradients.parameters) == {"app.task"}


def looped(sample: str, turns: int):
    run = RunBuilder(sample)
    text = "start"
    for turn in range(turns):
        ask = run.prompt("app.ask", "Next after {text}", text=text)
        text = run.llm("app.step:chat", f"turn {turn} of {sample}", messages=[ask])
    return run.graph(text)


def test_repeated_calls_keep_their_gradients_by_sample_and_time():
    def critic(request):
        found = feedback_for(request, f"{request.user.split('<output>')[1].split('</output>')[0].strip()}: {{id}}")
        return found

    engine = ScriptedEngine(critic)
    batch = [(looped("z", 3), WRONG), (looped("a", 2), WRONG)]
    gradients = backward_batch(batch, engine)
    found = [(g.sample_id, g.index, g.feedback) for g in gradients.parameters["app.ask"]]
    assert found == [
        ("z", 0, "turn 0 of z: p1"),
        ("z", 1, "turn 1 of z: p1"),
        ("z", 2, "turn 2 of z: p1"),
        ("a", 0, "turn 0 of a: p1"),
        ("a", 1, "turn 1 of a: p1"),
    ]
    assert engine.calls == 5


def test_a_prompt_read_once_and_used_twice_has_both_gradients_in_time_order():
    run = RunBuilder("s1")
    task = run.prompt("app.task", "Go on.")
    first = run.llm("app.one:chat", "1", messages=[task])
    second = run.llm("app.two:chat", "2", messages=[task, first])

    def critic(request):
        return feedback_for(
            request,
            "first {id}"
            if "app.one:chat#0" not in request.user and 'name="app.one:chat"' in request.user
            else "second {id}",
        )

    gradients = backward(run.graph(second), WRONG, ScriptedEngine(critic))
    assert texts(gradients, "app.task") == ["first p1", "second p1"]


def test_equal_feedback_on_one_target_is_merged():
    run = RunBuilder("s1")
    task = run.prompt("app.task", "Go on.")
    first = run.llm("app.one:chat", "1", messages=[task])
    second = run.llm("app.two:chat", "2", messages=[task, first])
    gradients = backward(run.graph(second), WRONG, ScriptedEngine())  # both say "change p1"
    assert texts(gradients, "app.task") == ["change p1"]


def test_skip_edges_join_the_same_call():
    run = RunBuilder("s1")
    plan = run.llm("app.plan:chat", "the plan", messages=[run.prompt("app.planner", "Plan.")])
    draft = run.llm("app.draft:chat", "the draft", messages=[run.prompt("app.writer", "Write."), plan])
    combined = run.call("app.combine", "done", draft=draft, skip={"plan": plan})
    engine = ScriptedEngine()
    gradients = backward(run.graph(combined), WRONG, engine)
    assert engine.calls == 3  # combine (two live inputs), draft, plan
    assert '<input id="i1" argument="plan" from="app.plan:chat#0" kind="skip">' in engine.requests[0].user
    plans = gradients.nodes["s1/app.plan:chat#0"]
    assert [(g.feedback, g.context.successor) for g in plans] == [
        ("change i1", "app.draft:chat#0"),  # merged with the equal text over the skip edge
    ]


def test_losses_on_named_nodes_stand_beside_the_final_loss():
    run, answer = retrieval()
    engine = ScriptedEngine()
    loss = Loss(0.0, "wrong city", nodes={"retrieve": Score(0.5, "half of the facts")})
    gradients = backward(run.graph(answer), loss, engine)
    assert engine.calls == 2
    reached = gradients.nodes["s1/app.retrieve#0"]
    assert [(g.feedback, g.score, g.context.successor) for g in reached] == [
        ("change i1", 0.0, "app.answer:chat#0"),
        ("half of the facts", 0.5, "loss:retrieve"),
    ]
    assert "half of the facts" in engine.requests[1].user


def test_a_node_loss_alone_visits_only_what_is_before_it():
    run, answer = retrieval()
    engine = ScriptedEngine()
    loss = Loss(1.0, nodes={"app.retrieve#0": [Score(0.2, "recall"), Score(0.4, "too many"), 1.0]})
    gradients = backward(run.graph(answer), loss, engine)
    assert engine.calls == 1
    assert set(gradients.parameters) == {"app.ask"}
    assert [g.feedback for g in gradients.nodes["s1/app.retrieve#0"]] == ["recall", "too many"]
    assert gradients.parameters["app.ask"][0].score == 0.2


def test_a_node_loss_without_feedback_is_asked_for_and_one_without_a_call_is_noted():
    run, answer = retrieval()
    engine = ScriptedEngine()
    loss = Loss(1.0, nodes={"retrieve": 0.5, "rerank": 0.0})
    gradients = backward(run.graph(answer), loss, engine)
    assert engine.calls == 2
    assert '<node name="app.retrieve" call="0">' in engine.requests[0].user
    assert any("'rerank'" in note for note in gradients.notes)


def test_the_error_of_a_failed_run_is_the_feedback_where_it_was_raised():
    run = RunBuilder("s1")
    task = run.prompt("app.task", "Count.")
    answer = run.llm("app.answer:chat", "seven", messages=[task])
    outer = run.call("app.program", None, question="Q", error="ValueError: no number in 'seven'")
    run.call("app.parse", None, text=answer, error="ValueError: no number in 'seven'", parent=outer)
    later = run.llm("app.other:chat", "x", messages=[run.prompt("app.other", "Other.")])
    engine = ScriptedEngine()
    gradients = backward(run.graph(later), Loss(0.0, error="ValueError: no number in 'seven'"), engine)
    assert engine.calls == 1
    assert "no number in 'seven'" in engine.requests[0].user
    assert set(gradients.parameters) == {"app.task"}


def test_a_loss_on_a_function_around_a_model_call_stands_on_that_call():
    run = RunBuilder("s1")
    outer = run.call("app.query", "a query", question="Q")
    query = run.llm("app.query:chat", "a query", messages=[run.prompt("app.ask", "Ask.")], parent=outer)
    answer = run.llm("app.answer:chat", "Paris", messages=[run.prompt("app.task", "Answer."), query])
    engine = ScriptedEngine()
    loss = Loss(1.0, nodes={"query": Score(0.0, "finds nothing")})
    gradients = backward(run.graph(answer), loss, engine)
    assert engine.calls == 1
    assert [g.feedback for g in gradients.nodes["s1/app.query:chat#0"]] == ["finds nothing"]
    assert set(gradients.parameters) == {"app.ask"}


def test_the_error_that_ended_the_run_is_found_in_its_records():
    run = RunBuilder("s1")
    answer = run.llm("app.answer:chat", "seven", messages=[run.prompt("app.task", "Count.")])
    run.call("app.parse", None, text=answer, error="ValueError: no number")
    engine = ScriptedEngine()
    backward(run.graph([]), Loss(0.0, "scored 0", ground_truth=7), engine)
    assert engine.calls == 1
    assert answer.error is None
    assert "The program failed with this error: ValueError: no number" in engine.requests[0].user
    assert "[the program raised ValueError: no number]" in engine.requests[0].user
    backward(run.graph([], result="n/a"), Loss(0.0, "scored 0"), engine)  # it was caught
    assert "scored 0" in engine.requests[1].user


def test_the_error_that_left_a_recorded_block_is_told_to_the_critic(tmp_path):
    prompt = trainable_prompt("Please do the thing properly now.", name="test.error.p")

    @functional_node(kind="llm", name="test.error.llm")
    def model(x):
        return "the model wrote this long text"

    @functional_node(name="test.error.parse")
    def parse(x):
        raise ValueError("cannot parse that")

    with pytest.raises(ValueError, match="cannot parse"), record() as run:
        parse(model(prompt()))
    run.save(tmp_path / "run.jsonl")
    for graph in (run.graph(), ParameterGraph.from_jsonl(tmp_path / "run.jsonl")):
        engine = ScriptedEngine()
        gradients = backward(graph, 0.0, engine)
        assert engine.calls == 1
        assert "The program failed with this error: ValueError: cannot parse that" in engine.requests[0].user
        assert set(gradients.parameters) == {"test.error.p"}


def test_a_loss_on_a_site_takes_the_function_before_the_model_calls_in_it():
    run = RunBuilder("s1")
    answer = run.llm("app.answer:chat", "Paris", messages=[run.prompt("app.task", "Answer.")])
    for said in ("answer", "app.answer", "answer:chat", "app.answer:chat#0", "answer#0"):
        gradients = backward(run.graph(answer), Loss(1.0, nodes={said: Score(0.0, "wrong")}), ScriptedEngine())
        assert set(gradients.parameters) == {"app.task"}, said
    outer = run.call("app.answer", "Paris", question="Q")
    gradients = backward(run.graph(outer), Loss(1.0, nodes={"answer": Score(0.0, "wrong")}), ScriptedEngine())
    assert gradients.notes == ("s1: the loss on 'answer' has no trainable parameter before it",)


def test_the_error_of_code_nobody_traced_stands_on_the_last_calls():
    run = RunBuilder("s1")
    answer = run.llm("app.answer:chat", "seven", messages=[run.prompt("app.task", "Count.")])
    engine = ScriptedEngine()
    run.call("app.unrelated", "x")
    gradients = backward(run.graph(), Loss(0.0, error="ValueError: glue"), engine)
    assert "ValueError: glue" in engine.requests[0].user
    assert texts(gradients, "app.task") == ["change p1"]
    assert answer.label == "app.answer:chat#0"


def test_an_output_that_no_edge_explains_is_said_and_put_on_the_last_calls():
    run = RunBuilder("s1")
    run.llm("app.answer:chat", "yes, it is", messages=[run.prompt("app.task", "Judge.")])
    gradients = backward(run.graph([], result="POSITIVE"), WRONG, ScriptedEngine())
    assert texts(gradients, "app.task") == ["change p1"]
    assert "app.answer:chat#0" in gradients.notes[0]


def test_a_gradient_carries_its_context():
    run, answer = retrieval()
    gradients = backward(run.graph(answer), Loss(0.0, "wrong", ground_truth="Rome"), ScriptedEngine())
    (gradient,) = gradients.parameters["app.answer_prompt"]
    assert gradient.context.successor == "app.answer:chat#0"
    assert gradient.context.output == "Paris"
    assert gradient.context.ground_truth == "Rome"
    assert gradient.context.final_output == "Paris"
    assert "Use ['d1', 'd2'] for Q" in gradient.context.inputs["messages"]
    assert gradient.score == 0.0


def test_the_critic_is_told_about_roles_instructions_and_the_calls_around():
    run = RunBuilder("s1")
    outer = run.call("app.program", None, description="Answers questions.")
    task = run.prompt("app.task", "Count.", role="how to count")
    answer = run.llm("app.answer:chat", "7", messages=[task], parent=outer)
    engine = ScriptedEngine()
    backward(run.graph(answer), WRONG, engine)
    assert 'role="how to count"' in engine.requests[0].user
    assert "Answers questions." in engine.requests[0].user


def test_no_cause_is_recorded_and_makes_no_gradient():
    run, parsed = counting()
    engine = ScriptedEngine({"app.answer": {"feedback": {"p1": "none", "p2": ""}, "no_cause": True}})
    gradients = backward(run.graph(parsed), WRONG, engine)
    assert gradients.no_cause == ("s1/app.answer:chat#0",)
    assert not gradients.parameters


@st.composite
def dags(draw):
    """(run, output, ids of the nodes that must be visited by an engine call)"""
    run = RunBuilder("s1")
    nodes, live, parents = [], set(), {}
    for at in range(draw(st.integers(1, 12))):
        picked = draw(st.lists(st.integers(0, at - 1), unique=True, max_size=3)) if at else []
        inputs = {f"a{i}": nodes[i] for i in picked}
        kind = draw(st.sampled_from(["llm", "function", "retriever"]))
        if draw(st.booleans()):
            inputs["prompt"] = run.prompt(f"p{at}", f"text {at}", trainable=draw(st.booleans()))
        node = run.call(f"n{at}", f"output {at}", kind=kind, **inputs)
        nodes.append(node)
        sources = {edge.source.id for edge in run.edges if edge.target is node}
        trained = {n.id for n in run.nodes if n.parameter and n.parameter.trainable}
        live_sources = sources & (trained | live)
        parents[node.id] = live_sources
        if live_sources:
            live.add(node.id)
    reached, stack = set(), [nodes[-1].id]
    while stack:
        at = stack.pop()
        if at in parents and at in live and at not in reached:
            reached.add(at)
            stack += parents[at]
    asked = {n.label for n in nodes if n.id in reached and (n.kind == "llm" or len(parents[n.id]) > 1)}
    return run, nodes[-1], asked


@settings(max_examples=60, deadline=None)
@given(dags())
def test_each_live_node_is_visited_once(case):
    run, output, asked = case
    engine = ScriptedEngine()
    gradients = backward(run.graph(output), WRONG, engine)
    if not asked and not gradients.nodes:
        assert engine.calls == 0
        return
    labels = []
    for request in engine.requests:
        name = request.user.split('<node name="')[1].split('"')[0]
        labels.append(f"{name}#0")
    expected = asked
    if any("no edge explains" in note for note in gradients.notes):
        return
    assert sorted(labels) == sorted(expected)
    again = backward(run.graph(output), WRONG, ScriptedEngine())
    assert again == gradients
