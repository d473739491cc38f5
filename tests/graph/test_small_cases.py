"""Small programs, each for one way in which an edge was once wrong or missing."""

import random

import pytest

import tracediff as td
from tracediff.capture import begin

TEXT = (
    "The harbour authority inspected the crane twice before the storm, and two engineers from Bergen wrote that its "
    "brakes had rusted while the spare parts waited in a locked shed."
)


def said(name, text, output, kind="llm"):
    """Make a call with one text and what it puts out."""
    call = begin(name, kind, text if isinstance(text, dict) else {"prompt": text})
    call.end(output)
    return output


def edges(run):
    return {(edge.source.label, edge.target.label): edge.confidence for edge in run.graph().edges}


def test_a_shuffled_text_is_found_beside_a_text_that_is_as_it_was():
    words = TEXT.split()
    random.Random(1).shuffle(words)
    with td.record() as run:
        note = said("inspect", "Inspect it.", TEXT)
        plan = said("plan", "Plan the week.", "Order brakes on Monday and paint on Thursday.")
        said("report", f"Plan: {plan}\nNotes: {' '.join(words)}\nWrite one page.", "Done.")
    assert note
    assert set(edges(run)) == {("inspect#0", "report#0"), ("plan#0", "report#0")}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("市议会花费了三百万欧元出售了博物馆的冷却系统。", "图书馆馆长去年春天修复了博物馆的冷却系统。"),
        ("冷却系统", "图书馆馆长去年春天修复了博物馆的冷却系统,因为它已经很旧。"),
        ("市役所は博物館の冷房を修理しました。", "図書館は去年の春に新しい本棚を修理しました。"),
    ],
)
def test_a_phrase_of_characters_is_no_more_than_the_few_words_it_is(first, second):
    with td.record() as run:
        said("old", "水库", "这个系统在冷天却很慢,図書館は新しい。")
        said("search", "水库", first)
        said("other", second, "好的")
    assert not edges(run)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "市议会花费了三百万欧元出售了博物馆的冷却系统,因为修理太贵。",
            "资料:花费了三百万欧元出售了博物馆的冷却系统,因为修理\n问题:为什么?",
        ),
        ("技术支持", "类别:技术支持\n请写一封回信。"),
        ("市役所は博物館の冷房を修理しました。", "次の文を訳してください。「市役所は博物館の冷房を修理しました。」"),
        ("박물관의 냉방 장치는 지난봄에 수리되었습니다.", "요약하세요: 박물관의 냉방 장치는 지난봄에 수리되었습니다."),
    ],
)
def test_texts_without_spaces_are_found(first, second):
    with td.record() as run:
        said("search", "水库", first)
        said("other", second, "好的")
    assert set(edges(run)) == {("search#0", "other#0")}


def test_labels_of_a_vote_are_not_a_bystanders():
    with td.record() as run:
        said("moderate", "A harmless text about bridges.", "HUM")
        texts = ("The dam was audited in 1990.\nAnswer: HUM", "It was a person.\nAnswer: LOC", "LOC")
        votes = [said("vote", "Who audited the dam?", text).rpartition(" ")[2] for text in texts]
        said("judge", "Question: Who audited the dam?\nAnswers:\n" + "\n".join(votes), "done")
        said("count", {"labels": votes}, "fine")
    wanted = {(f"vote#{i}", target) for i in range(3) for target in ("judge#0", "count#0")}
    assert set(edges(run)) == wanted


def test_a_call_serves_as_often_as_its_output_holds_the_value():
    shots = [
        {"q": "Who flooded the vineyard in Lisbon?", "a": "billing"},
        {"q": "When was the canal in Oslo rebuilt?", "a": "refund"},
        {"q": "Why did the ferry tickets double?", "a": "billing"},
    ]
    with td.record() as run:
        said("moderate", "A harmless text about bridges.", "billing")
        said("examples", "Find some.", shots, "retriever")
        said("classify", "\n\n".join(f"Q: {shot['q']}\nA: {shot['a']}" for shot in shots), "done")
    assert set(edges(run)) == {("examples#0", "classify#0")}


def test_labels_of_two_sites_stay_with_the_calls_that_put_them_out_alone():
    with td.record() as run:
        said("extract", "Read the mail.", "Team: billing\nUrgency: high")
        said("team", {"text": "billing"}, "Billing", "function")
        said("urgency", {"text": "high"}, "High", "function")
        said("reply", "Write a reply.\nUrgency: High\nAnd not too long.\nTeam: Billing", "done")
    assert set(edges(run)) >= {("team#0", "reply#0"), ("urgency#0", "reply#0")}


def test_labels_joined_by_blanks_are_found():
    with td.record() as run:
        votes = [said("vote", "Who audited the dam?", label) for label in ("positive", "positive", "NUM", "NUM")]
        said("judge", " ".join(votes), "done")
    assert set(edges(run)) == {(f"vote#{i}", "judge#0") for i in range(4)}


@pytest.mark.parametrize("value", ["neutral", "Quito", "16", "net 30"])
def test_a_new_value_is_found_within_a_sentence(value):
    with td.record() as run:
        said("look", "Read the letter.", value)
        said("write", f"Write to them about the {value} as they asked for it last week.", "done")
    assert set(edges(run)) == {("look#0", "write#0")}


def test_a_word_within_a_sentence_is_not_what_a_tool_says_when_it_is_through():
    with td.record() as run:
        said("save", "Save the letter.", "done", "tool")
        said("write", "When this is done write to them as they asked for it last week.", "fine")
    assert not edges(run)


@pytest.mark.parametrize("form", ["<doc id={0}>{1}</doc>\n", '{{"id": {0}, "text": "{1}"}}, ', "Document {0}: {1}\n"])
@pytest.mark.parametrize("first", [0, 1])
def test_counters_are_no_values(form, first):
    docs = ("Ingrid sampled the test results.", "Summit says the claim costs more.", "The generator is at the port.")
    with td.record() as run:
        said("score", "Something else entirely.", 1)
        said("score", "Something else again.", 2)
        said("read", "Context:\n" + "".join(form.format(i, doc) for i, doc in enumerate(docs, first)), "fine")
        said("rate", "Scores: 1\nand: 2\nSay which is better.", "fine")
    assert set(edges(run)) == {("score#0", "rate#0"), ("score#1", "rate#0")}


DOCS = (
    "The city council says the test results have doubled since 1989.",
    "Kestrel Robotics says the emission targets attract visitors.",
    "The underground bridge in Cusco was financed by volunteers.",
    "The theatre in Denver was repaired after the storm.",
)


@pytest.mark.parametrize("form", ["\n".join, list, lambda docs: [{"text": doc} for doc in docs]])
def test_one_call_that_explains_all_of_an_argument_is_better_than_two(form):
    with td.record() as run:
        said("search", {"query": "emission"}, list(DOCS[1:]), "retriever")
        said("warm", {"query": "results"}, [str(doc) for doc in DOCS[:2]], "retriever")
        said("answer", {"context": form(["".join(list(doc)) for doc in DOCS[1:]])}, "fine")
    assert set(edges(run)) == {("search#0", "answer#0")}


def test_a_text_handed_on_counts_for_the_nearer_call_even_so():
    with td.record() as run:
        said("search", {"query": "emission"}, list(DOCS[1:]), "retriever")
        said("rank", {"docs": list(DOCS[1:])}, ["".join(list(DOCS[1])), "The rest is not to the point."], "function")
        said("answer", f"Best: {DOCS[1]}\nAlso: {DOCS[2]}\nSay why.", "fine")
    assert set(edges(run)) == {("search#0", "rank#0"), ("search#0", "answer#0"), ("rank#0", "answer#0")}


QUESTION = "What did Beatriz Costa say about the control software?"


@pytest.mark.parametrize(
    "form",
    [
        "Here is my plan for the search, with three keywords. The question was: {}",
        'The user asks "{}" and I think of the software of last year.',
        "{} That is hard to say without the minutes of the meeting.",
    ],
)
def test_a_model_that_restates_a_line_of_its_input_is_not_where_later_uses_are_from(form):
    with td.record() as run:
        said("rewrite", f"Act as an analyst.\n\n<question>\n{QUESTION}\n</question>", form.format(QUESTION))
        said("rank", {"query": QUESTION, "docs": ["Nothing."]}, "0")
        said("answer", f"Answer in one line.\nQuestion: {QUESTION}", "Nobody knows.")
    assert not edges(run)


@pytest.mark.parametrize("form", ["Thought: none is needed.\nQuery: {}", '{{"query": "{}", "top": 3}}'])
def test_a_line_that_a_model_repeats_as_its_answer_is_its_own(form):
    with td.record() as run:
        said("rewrite", f"Rewrite this question.\nQuestion: {QUESTION}", form.format(QUESTION))
        said("search", {"query": QUESTION}, ["Nothing."])
    assert set(edges(run)) == {("rewrite#0", "search#0")}


def test_words_before_a_restated_line_have_their_own_source():
    title = "Historic laboratory nationalised in Oslo"
    with td.record() as run:
        said("rate", f"How urgent is it?\nLetter: {QUESTION}", "Not at all, it can wait until the next week.")
        said("head", "Write a subject line.", title)
        said("reply", f"Write a reply headed {title} to what they asked: {QUESTION}", "Nobody knows.")
    assert set(edges(run)) == {("head#0", "reply#0")}
