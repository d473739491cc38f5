"""Generated questions with one of six coarse labels by what their answer is: a number, a person, a place and so on."""

from __future__ import annotations

import random
import re

from tracediff.simulate import data, words

FORMS: dict[str, tuple[str, ...]] = {
    "ABBR": (
        "What does {letters} stand for?",
        "What is the full form of {letters}?",
        "What do the letters {letters} mean on the {noun}?",
    ),
    "DESC": (
        "Why did {name} keep a {noun}?",
        "How does one repair a {noun} in {name}?",
        "What is the purpose of the {noun} in {name}?",
        "What happened at the {noun} of {name}?",
    ),
    "ENTY": (
        "What {thing} was kept in the {noun} of {name}?",
        "Which {thing} did the {relation} of {name} like best?",
        "What kind of {thing} is painted on the {noun}?",
    ),
    "HUM": (
        "Who built the {noun} of {name}?",
        "Which {relation} wrote about the {noun} of {name}?",
        "Who sold a {noun} to the {relation} of {name}?",
    ),
    "LOC": (
        "Where is the {noun} of {name}?",
        "In which town did the {relation} of {name} live?",
        "What country sent a {noun} to {name}?",
    ),
    "NUM": (
        "How many steps lead to the {noun} of {name}?",
        "When was the {noun} of {name} opened?",
        "How far is the {noun} from {name}?",
    ),
}
"""Label -> forms of question."""
LABELS = tuple(FORMS)
_THINGS = ("animal", "colour", "dish", "flower", "instrument", "metal", "song", "spice")
_FILLED = {"letters": "[A-Z]{3,4}", "name": "[A-Z][a-z]+", "noun": "[a-z]+", "relation": "[a-z]+", "thing": "[a-z]+"}


def _pattern(form: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", lambda slot: _FILLED[slot[1]], re.escape(form)))


_PATTERNS = tuple((label, _pattern(form)) for label, forms in FORMS.items() for form in forms)


def labelled_samples(seed: int, n: int) -> tuple[dict[str, str], ...]:
    """Return ``n`` different samples ``{"id", "question", "answer"}``; the answer is one of ``LABELS``."""
    draw = random.Random(f"labelled/{seed}")
    names = data.entities(seed)
    samples: dict[str, dict[str, str]] = {}
    while len(samples) < n:
        label = draw.choice(LABELS)
        question = draw.choice(FORMS[label]).format(
            letters="".join(draw.choices("BCDFGHKLMNPRSTVW", k=draw.choice((3, 4)))),
            name=draw.choice(names),
            noun=draw.choice(words.NOUNS),
            relation=draw.choice(words.RELATIONS),
            thing=draw.choice(_THINGS),
        )
        samples.setdefault(question, {"id": f"label-{len(samples)}", "question": question, "answer": label})
    return tuple(samples.values())


def label_of(question: str) -> str | None:
    """Return the label of a question of one of the forms, None for any other."""
    text = " ".join(question.split())
    return next((label for label, pattern in _PATTERNS if pattern.fullmatch(text)), None)
