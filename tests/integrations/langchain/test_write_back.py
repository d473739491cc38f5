"""Write-back into templates of LangChain: the patched file's templates render as the candidate says."""

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("libcst")

from tests.discover.test_patch_files import change, patched, values  # noqa: E402

TEMPLATES = """from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
CHAT = ChatPromptTemplate.from_messages([
    ("system", "You are the clerk of {office}."),
    ("human", "Answer this: {question}"),
])
PLAIN = PromptTemplate.from_template("Sum up {text} in a line.")
GIVEN = PromptTemplate(template="Translate {text} for me.", input_variables=["text"])
"""


def test_templates_of_langchain_render_as_the_candidate_says(tmp_path):
    braces = 'Reply as {"a": 1}.'
    changes = [
        change("You are the clerk of {office}.", "Serve {office}. " + braces, name="s", variables=("office",), line=3),
        change("Answer this: {question}", "Now {question}\n" + braces, name="u", variables=("question",), line=4),
        change("Sum up {text} in a line.", braces + " {text}", name="p", variables=("text",), line=6),
        change("Translate {text} for me.", "Put {text}. " + braces, name="g", variables=("text",), line=7),
    ]
    made, failed = patched(tmp_path, TEMPLATES, changes)
    assert failed == {}
    names = values(made)
    system, user = names["CHAT"].format_messages(office="the {harbour}", question="why?")
    assert (system.content, user.content) == ("Serve the {harbour}. " + braces, "Now why?\n" + braces)
    assert names["PLAIN"].format(text="it") == braces + " it"
    assert names["GIVEN"].format(text="it") == "Put it. " + braces
