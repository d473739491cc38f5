"""Cases seen on a real multi-hop program (written by the lead for the graph room; keep them passing).

A retriever hands out the same paragraph objects again and again (they live in its corpus), in a new list each time; a
query of few words is cut out of a model's reply by undecorated code.
"""

import tracediff as td

CORPUS = [
    "Halorric is named in the old records. The deputy of Halorric is Kelwelstad. The story is told in three villages.",
    "Halorric is named in the old records. The curator of Halorric is Kelwelstad. Few visitors ask about it today.",
]


@td.functional_node(kind="llm", name="reuse.ask")
def ask(prompt):
    return {
        "content": "One fact is needed next. Note: one brass stencil stood crossed here.\nQuery: The deputy of Halorric"
    }


@td.functional_node(kind="retriever", name="reuse.retrieve")
def retrieve(query):
    return [CORPUS[0], CORPUS[1]]


@td.functional_node(name="reuse.deduplicate")
def deduplicate(first, second):
    return list(dict.fromkeys([*first, *second]))


@td.functional_node(kind="llm", name="reuse.answer")
def answer(question, passages):
    return "Kelwelstad"


def program(question):
    searches = []
    for _ in range(2):
        found = [p for search in searches for p in search]
        reply = ask("Write a query for: " + question + "\n" + "\n".join(found))["content"]
        searches.append(retrieve(reply.rpartition("Query:")[2].strip()))
    return answer(question, deduplicate(*searches))


def edges():
    _, run = td.trace(program, "What is the sculptor of the deputy of Zinmirgard?")
    return {(e.source.label, f"{e.target.label}.{e.argument}") for e in run.graph().edges}


def test_the_list_that_was_handed_over_decides_not_the_shared_paragraphs_in_it():
    found = edges()
    assert ("reuse.retrieve#0", "reuse.deduplicate#0.first") in found
    assert ("reuse.retrieve#1", "reuse.deduplicate#0.second") in found
    assert ("reuse.deduplicate#0", "reuse.answer#0.passages") in found
    assert ("reuse.retrieve#1", "reuse.deduplicate#0.first") not in found
    assert ("reuse.retrieve#1", "reuse.answer#0.passages") not in found


def test_a_short_query_cut_out_of_a_reply_is_an_edge():
    found = edges()
    assert ("reuse.ask#0", "reuse.retrieve#0.query") in found
    assert ("reuse.ask#1", "reuse.retrieve#1.query") in found
