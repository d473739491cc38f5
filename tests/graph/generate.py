"""Random programs with known data flow, run under a recorder; the truth is kept beside the values, not inferred.

Levels: 0 objects passed on, 1 rendered prompts, 2 glue, loops and dedup, 3 short labels, copying models and threads,
4 everything, with ciphered and shuffled text.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from .tracked import Prov, Text, Tree, cat, join, listed, literal
from .vocabulary import PLAIN, SINGLE, TEMPLATES, paragraph, sentence


@dataclass
class Truth:
    """What really happened: labels are (site, call index)."""

    inputs: dict = field(default_factory=dict)
    """Consumer -> Provs of the text in its inputs."""
    output: list = field(default_factory=list)
    prompts: set = field(default_factory=set)
    containers: set = field(default_factory=set)
    """Calls that only hand on what their children put out."""

    def edges(self):
        return {(prov.producer, target) for target, provs in self.inputs.items() for prov in provs}


class Program:
    """One random program, run as it is made up: values go through real calls of the recorder."""

    def __init__(self, seed, level, recorder, motifs):
        self.rng = random.Random(f"{seed}/{level}")
        self.level = level
        self.recorder = recorder
        self.truth = Truth()
        self.counts = {}
        self.pool: list[Text] = []
        self.question = literal(sentence(self.rng, 7, 14))
        self.output = literal("")
        self.sites = {}
        self.motifs = motifs
        self.module = self.rng.choice(["app", "main", "pipeline.core", "qa"])

    # -- calls ---------------------------------------------------------------------------------------------------

    def label(self, site):
        index = self.counts[site] = self.counts.get(site, -1) + 1
        return site, index

    def call(self, site, kind, arguments, make, label=None):
        """Call a traced function; ``make(label)`` gives its result as tracked value, or raises."""
        site = f"{self.module}.{site}"
        label = label or self.label(site)
        self.consume(label, arguments)
        kept = []

        def function(**_):
            kept.append(make(label))
            return kept[0].obj

        self.recorder.call(site, kind, {key: plain(value) for key, value in arguments.items()}, function)
        return kept[0]

    def consume(self, label, arguments):
        provs = self.truth.inputs.setdefault(label, [])
        for value in arguments.values():
            if isinstance(value, (Text, Tree)):
                provs += value.provs()

    def function(self, site, arguments, result, kind="function"):
        """A call whose output is new text, or made of others' text."""
        return self.call(site, kind, arguments, lambda label: result.by(label))

    def prompt(self, name, template, arguments):
        """A trainable prompt: its rendered text is its own output."""
        name = f"{self.module}.{name}"
        label = self.label(name)
        self.truth.prompts.add(label)
        self.consume(label, arguments)
        parts, rest = [], template
        while rest:
            places = [(rest.find("{" + key + "}"), key) for key in arguments if "{" + key + "}" in rest]
            if not places:
                parts.append(rest)
                break
            at, key = min(places)
            parts += [rest[:at], arguments[key]]
            rest = rest[at + len(key) + 2 :]
        text = cat(*parts).by(label)
        text.obj = self.recorder.prompt(name, template, {key: value.obj for key, value in arguments.items()})
        assert text.obj == "".join(segment for segment, _ in text.segments)
        return text

    def llm(self, site, messages, make):
        """A model call: messages are (role, text) or ready trees."""
        rows = [{"role": role, "content": text.obj} for role, text in messages]
        tree = Tree(rows, [text for _, text in messages])
        kind = "llm"
        return self.call(site + ":chat", kind, {"messages": tree}, lambda label: make(label))

    def answer(self, messages, site="answer", text=None):
        """A model call that answers with new prose."""
        said = literal(text if text is not None else paragraph(self.rng))
        return self.llm(site, messages, lambda label: said.by(label))

    # -- choices -------------------------------------------------------------------------------------------------

    def recent(self, count=1):
        """Some texts of the program so far, mostly the latest ones."""
        pool = self.pool or [self.question]
        chosen = []
        for _ in range(count):
            text = pool[-1 - min(int(self.rng.expovariate(0.9)), len(pool) - 1)]
            if text not in chosen:
                chosen.append(text)
        return chosen

    def one(self):
        return self.recent(1)[0]

    def keep(self, *texts):
        for text in texts:
            if len(text):
                self.pool.append(text)

    def retrieve(self, query, count=None, site="retrieve"):
        texts = [literal(paragraph(self.rng, 1, 3)) for _ in range(count or self.rng.randint(2, 4))]
        return self.call(site, "retriever", {"query": query, "k": len(texts)}, lambda label: listed(texts).by(label))

    def ask(self, *, site="answer"):
        """A prompt in one of the usual forms around recent texts, and a model's answer."""
        rng, context, question = self.rng, self.one(), self.question
        if rng.random() < 0.3:
            question = self.one()
        form = rng.randrange(4)
        if form == 0:
            text = self.prompt(
                site + "_prompt", TEMPLATES[hash_of(site) % len(TEMPLATES)], {"a": context, "b": question}
            )
            messages = [("user", text)]
        elif form == 1:
            system = self.prompt(site + "_system", SINGLE[hash_of(site) % len(SINGLE)], {})
            messages = [("system", system), ("user", cat("Context:\n", context, "\n\nQuestion: ", question))]
        elif form == 2:
            system = self.prompt(site + "_task", SINGLE[hash_of(site) % len(SINGLE)], {})
            messages = [("user", cat(system, "\n\n", join("\n", self.recent(2)), "\n\nQ: ", question))]
        else:
            messages = [("system", literal(PLAIN[hash_of(site) % len(PLAIN)])), ("user", cat("Input: ", context))]
        return self.answer(messages, site=f"{site}{form}")

    # -- a run ---------------------------------------------------------------------------------------------------

    def run(self):
        """Run the program; returns the tracked output."""
        for _ in range(self.rng.randint(3, 6)):
            self.rng.choice(self.motifs)(self)
        texts = self.recent(1 if self.rng.random() < 0.7 else 2)
        self.output = texts[0] if len(texts) == 1 else join("\n\n", texts)
        self.truth.output = self.output.provs()
        return self.output


def plain(value):
    return value.obj if isinstance(value, (Text, Tree)) else value


def hash_of(text):
    return sum(ord(character) * (i + 7) for i, character in enumerate(text))


def generated(seed, level, recorder, shapes):
    """Return a finished program of a level; ``shapes`` is a mapping level -> motifs."""
    motifs = [motif for known, items in shapes.items() if known <= level for motif in items]
    weighted = motifs + [motif for motif in shapes.get(level, ()) for _ in range(2)]
    program = Program(seed, level, recorder, weighted)
    program.run()
    return program


__all__ = ["Program", "Prov", "Truth", "generated"]
