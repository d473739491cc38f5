"""Words, their numbers and their places agree for any text."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tracediff.graph.words import Vocabulary, spans, unescaped

TEXTS = st.one_of(
    st.text(), st.text(st.sampled_from("aB_ 1.,-\n\t\\\"'é日本ßİ")), st.from_regex(r"[\x00-\x7f]*", fullmatch=True)
)


@given(TEXTS)
def test_every_word_has_a_number_and_a_place(text):
    words = Vocabulary()
    numbers, (starts, ends) = words.numbers(text), spans(text)
    assert len(numbers) == len(starts) == len(ends)
    for number, start, end in zip(numbers, starts, ends):
        assert words.numbers(text[start:end]) == [number]


@given(st.from_regex(r"[\x00-\x7f]*", fullmatch=True))
def test_plain_text_has_the_words_of_a_regular_expression(text):
    _, (starts, ends) = None, spans(text)
    assert [text[start:end] for start, end in zip(starts, ends)] == re.findall(r"\w+", text)


def test_case_does_not_count_and_dumped_text_has_its_words():
    words = Vocabulary()
    assert words.numbers("The END") == words.numbers("the end")
    assert unescaped('line one\\nline \\"two\\" caf\\u00e9') == 'line one\nline "two" café'
