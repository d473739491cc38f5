"""Cost of edge inference, as a ratio to one regular-expression pass that splits all texts of the run into words.

    python -m benchmarks.inference [--records 1000] [--long 20000]

Both are measured in this process, interleaved, as CPU time; the best of several rounds of each counts.
"""

from __future__ import annotations

import argparse
import gc
import random
import re
from time import process_time

from tracediff.capture.records import Ref, SpanRecord
from tracediff.graph import build
from tracediff.graph.calls import leaves

_SYLLABLES = re.findall(
    "[a-z]+", "ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu bra cle dri flo gru pla ste tri"
)


def _vocabulary(size: int) -> tuple[list[str], list[float]]:
    """Return words and their cumulated shares: the k-th most common word stands with a share of 1/k, as in prose."""
    rng = random.Random(1)
    found: dict[str, None] = {}
    while len(found) < size:
        found["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4)))] = None
    total, shares = 0.0, []
    for rank in range(1, size + 1):
        total += 1 / rank
        shares.append(total)
    return list(found), shares


_WORDS, _SHARES = _vocabulary(8000)


def words(rng: random.Random, count: int) -> str:
    """Return made-up prose in which words are as common and as rare as in real prose."""
    return " ".join(rng.choices(_WORDS, cum_weights=_SHARES, k=count)).capitalize() + "."


class _Maker:
    """Makes records as a recorder would, with or without identity references."""

    def __init__(self, *, has_refs: bool) -> None:
        self.records: list[SpanRecord] = []
        self.next = 0
        self.has_refs = has_refs
        self.seen: dict[str, tuple[str, str]] = {}

    def call(self, name: str, kind: str, inputs: dict, output: object) -> object:
        self.next += 2
        identity = f"{self.next:016x}"
        refs = []
        if self.has_refs:
            for argument, value in inputs.items():
                for path, leaf in leaves(value, argument):
                    if isinstance(leaf, str) and leaf in self.seen:
                        refs.append(Ref(path, *self.seen[leaf], 1))
        self.records.append(
            SpanRecord(
                id=identity,
                run_id="0" * 32,
                parent_id=None,
                name=name,
                kind=kind,
                start=self.next,
                end=self.next + 1,
                start_ns=0,
                end_ns=0,
                inputs=inputs,
                output=output,
                refs=tuple(refs),
            )
        )
        for path, leaf in leaves(output, ""):
            if isinstance(leaf, str):
                self.seen.setdefault(leaf, (identity, path))
        return output


def rag_run(count: int, *, has_refs: bool = True, seed: int = 0) -> list[SpanRecord]:
    """Return the records of a long run: retrieval, undecorated prompts with glue, answers, labels, reports."""
    rng = random.Random(seed)
    make = _Maker(has_refs=has_refs)
    labels = ["billing", "refund", "Yes", "No"]
    while len(make.records) < count:
        question = words(rng, 12)
        docs = make.call("app.retrieve", "retriever", {"query": question, "k": 3}, [words(rng, 40) for _ in range(3)])
        body = "Answer with the context only.\nContext:\n" + "\n".join(docs) + f"\nQuestion: {question}\nAnswer:"
        answer = make.call("app.answer:chat", "llm", {"messages": [{"role": "user", "content": body}]}, words(rng, 35))
        body = f"Classify the text below with one word.\nText: {answer}\nLabel:"
        label = make.call(
            "app.label:chat", "llm", {"messages": [{"role": "user", "content": body}]}, rng.choice(labels)
        )
        body = f"Write a reply.\nKind: {label}\nNotes:\n- {answer[:120]}\n- {docs[0].lower()}"
        make.call("app.reply:chat", "llm", {"messages": [{"role": "user", "content": body}]}, words(rng, 35))
    return make.records[:count]


def steps_run(count: int, *, has_refs: bool = False, seed: int = 0) -> list[SpanRecord]:
    """Return the records of a chain of calls with 1 KB in and 200 B out, each fed by the last two."""
    rng = random.Random(seed)
    make = _Maker(has_refs=has_refs)
    last = [words(rng, 30), words(rng, 30)]
    while len(make.records) < count:
        body = f"Step with the notes below.\n{words(rng, 90)}\nEarlier: {last[-1]}\nBefore: {last[-2].upper()}"
        last.append(make.call("app.step", "llm", {"prompt": body}, words(rng, 35)))
    return make.records


def words_pass(texts: list[str], pattern: re.Pattern[str]) -> int:
    """Return how many words the texts have: the yardstick."""
    return sum(len(pattern.findall(text)) for text in texts)


def ratio(records: list[SpanRecord], rounds: int) -> tuple[float, float, float]:
    """Return (ratio, seconds of inference, seconds of the yardstick), the best of interleaved rounds."""
    texts = [
        leaf
        for record in records
        for value in (*record.inputs.values(), record.output)
        for _, leaf in leaves(value, "")
        if isinstance(leaf, str)
    ]
    pattern = re.compile(r"\w+")
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        gc.collect()
        start = process_time()
        words_pass(texts, pattern)
        middle = process_time()
        build(records)
        best = [min(best[0], middle - start), min(best[1], process_time() - middle)]
    return best[1] / best[0], best[1], best[0]


def main() -> None:
    """Print one line a run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--long", type=int, default=20_000)
    chosen = parser.parse_args()
    print(f"{'run':28} {'records':>8} {'inference s':>12} {'words s':>9} {'ratio':>6}   us a record")
    for name, maker in (("rag", rag_run), ("steps", steps_run)):
        for has_refs in (True, False):
            for count, rounds in ((chosen.records, 15), (chosen.long, 1)):
                if count:
                    value, inference, yardstick = ratio(maker(count, has_refs=has_refs), rounds)
                    title = f"{name}, {'references' if has_refs else 'text alone'}"
                    each = inference / count * 1e6
                    print(f"{title:28} {count:8} {inference:12.3f} {yardstick:9.4f} {value:6.1f}   {each:.0f}")


if __name__ == "__main__":
    main()
