"""Generated samples of the simulated world: object counting, one-hop and two-hop questions over a synthetic corpus."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from tracediff.simulate import words

N_ASKED = 6
"""How many relations questions ask for."""
N_DECOYS = 3
"""How many further relations every entity has a paragraph about; no question asks for them."""
N_ENTITIES = 48

_COUNT_FORM = re.compile(r"I have (?P<items>.+?)\. How many (?P<kind>[a-z ]+?) do I have\?")
_QUESTION_FORM = re.compile(r"What is the (?P<second>\w+) of the (?P<first>\w+) of (?P<entity>\w+)\?")
_FACT_QUESTION_FORM = re.compile(r"What is the (?P<relation>\w+) of (?P<entity>\w+)\?")
_FACT_FORM = re.compile(r"\bThe (\w+) of (\w+) is (\w+)\.")


@dataclass(frozen=True, slots=True)
class Paragraphs:
    """A corpus with the questions over it."""

    corpus: tuple[str, ...]
    samples: tuple[dict[str, str], ...]


def counting_samples(seed: int, n: int) -> tuple[dict[str, str], ...]:
    """Return ``n`` different samples ``{"id", "question", "answer"}``, in the form of BIG-Bench Hard."""
    draw = random.Random(f"counting/{seed}")
    kinds = {kind: [pair.split(" ") for pair in pairs.split(",")] for kind, pairs in words.COUNTED.items()}
    samples: dict[str, dict[str, str]] = {}
    while len(samples) < n:
        kind, other = draw.sample(sorted(kinds), 2)
        wanted = draw.sample(kinds[kind], draw.randint(3, 7))
        things = [(name, draw.randint(1, 9) if draw.random() < 0.4 else 1) for name in wanted]
        rest = [(name, draw.randint(1, 4)) for name in draw.sample(kinds[other], draw.randint(1, 3))]
        answer = sum(number for _, number in things)
        listed = things + rest
        draw.shuffle(listed)
        items = [_amount(singular, plural, number) for (singular, plural), number in listed]
        question = f"I have {', '.join(items[:-1])}, and {items[-1]}. How many {kind} do I have?"
        samples.setdefault(question, {"id": f"count-{len(samples)}", "question": question, "answer": str(answer)})
    return tuple(samples.values())


def _amount(singular: str, plural: str, number: int) -> str:
    """Return ``two lamps`` or ``a lamp``."""
    if number == 1:
        return f"{'an' if singular[0] in 'aeiou' else 'a'} {singular}"
    return f"{words.NUMBERS[number]} {plural}"


def count(question: str) -> int | None:
    """Return how many things of the asked kind ``question`` lists; None when it is no counting question."""
    match = _COUNT_FORM.search(" ".join(question.split()))
    if match is None or match["kind"] not in words.COUNTED:
        return None
    kind = set(re.split(r"[ ,]", words.COUNTED[match["kind"]]))
    total = 0
    for item in re.split(r", and |, | and ", match["items"]):
        number, _, noun = item.partition(" ")
        if noun in kind:
            total += words.NUMBERS.index(number) if number in words.NUMBERS else 1
    return total


def relations(seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the relations that questions of this seed ask for, and the decoys that none asks for."""
    drawn = random.Random(f"relations/{seed}").sample(words.RELATIONS, N_ASKED + N_DECOYS)
    return tuple(drawn[:N_ASKED]), tuple(drawn[N_ASKED:])


def entities(seed: int) -> tuple[str, ...]:
    """Return the made-up names of this seed's corpus."""
    draw = random.Random(f"entities/{seed}")
    names: dict[str, None] = {}
    while len(names) < N_ENTITIES:
        stem = draw.choice(words.SYLLABLES) + draw.choice(words.SYLLABLES)
        names.setdefault((stem + draw.choice(words.NAME_ENDINGS)).capitalize())
    return tuple(names)


def two_hop_samples(seed: int, n: int) -> Paragraphs:
    """Return a corpus with one fact a paragraph, and ``n`` different questions that each need two of its facts."""
    draw = random.Random(f"two-hop/{seed}")
    corpus, facts = _corpus(seed, draw)
    names, asked = entities(seed), relations(seed)[0]
    samples: dict[str, dict[str, str]] = {}
    while len(samples) < n:
        (first, second), name = draw.sample(asked, 2), draw.choice(names)
        question = f"What is the {second} of the {first} of {name}?"
        answer = facts[second, facts[first, name]]
        samples.setdefault(question, {"id": f"hop-{len(samples)}", "question": question, "answer": answer})
    return Paragraphs(corpus, tuple(samples.values()))


def one_hop_samples(seed: int, n: int) -> Paragraphs:
    """Return the same corpus, and ``n`` different questions that each need one of its facts.

    Raises ValueError for more than the corpus has.
    """
    corpus, facts = _corpus(seed, random.Random(f"two-hop/{seed}"))
    asked = [(relation, name) for name in entities(seed) for relation in relations(seed)[0]]
    if n > len(asked):
        raise ValueError(f"a world has {len(asked)} one-hop questions, not {n}")
    samples = [
        {"id": f"fact-{number}", "question": f"What is the {relation} of {name}?", "answer": facts[relation, name]}
        for number, (relation, name) in enumerate(random.Random(f"one-hop/{seed}").sample(asked, n))
    ]
    return Paragraphs(corpus, tuple(samples))


def _corpus(seed: int, draw: random.Random) -> tuple[tuple[str, ...], dict[tuple[str, str], str]]:
    """Return the paragraphs, and their facts: (relation, entity) -> value."""
    names = entities(seed)
    asked, decoys = relations(seed)
    pairs = [(relation, name) for name in names for relation in asked + decoys]
    facts = {(relation, name): draw.choice([x for x in names if x != name]) for relation, name in pairs}
    corpus = [
        f"{name} is named in the old records. The {relation} of {name} is {value}. {draw.choice(words.REMARKS)}"
        for (relation, name), value in facts.items()
    ]
    draw.shuffle(corpus)
    return tuple(corpus), facts


def hops(question: str) -> tuple[str, str, str] | None:
    """Return (first relation, second relation, entity) of a two-hop question, or None."""
    match = _QUESTION_FORM.search(" ".join(question.split()))
    return (match["first"], match["second"], match["entity"]) if match else None


def chain(question: str) -> tuple[tuple[str, ...], str] | None:
    """Return (relations in the order in which they are looked up, entity) of a question over the corpus, or None."""
    if found := hops(question):
        return found[:2], found[2]
    match = _FACT_QUESTION_FORM.search(" ".join(question.split()))
    return ((match["relation"],), match["entity"]) if match else None


def facts_in(text: str) -> dict[tuple[str, str], str]:
    """Return every fact that stands in ``text``: (relation, entity) -> value."""
    return {(relation, name): value for relation, name, value in _FACT_FORM.findall(text)}
