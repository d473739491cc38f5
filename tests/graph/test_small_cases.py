"""Small programs, each for one way in which an edge was once wrong or missing."""

import random

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
