"""Cost of edge inference, as a ratio to one regular-expression pass that splits all texts of the run into words.

    python -m benchmarks.inference [--sizes 1000 5000 20000] [--rounds 15]

Both are measured in this process, interleaved, as CPU time; the median of several rounds counts. Each run is made twice
of words alone and of prose with commas, quotes, colons and numbers, which has many more places where a short value may
stand. Also shown: bytes a record that the finished graph holds beside the records, and at the peak of inference.
"""

from __future__ import annotations

import argparse
import gc
import random
import re
import tracemalloc
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import process_time

from tracediff.capture.records import Ref, SpanRecord
from tracediff.graph import build
from tracediff.graph.calls import leaves

RATIO = 8
"""Times the yardstick that a run of 1,000 records may cost."""
LINEAR = 1.1
"""Times the CPU a record at 1,000 that a longer run may cost; a tenth is noise."""
BYTES = 2048

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


_MARKS = ((0.06, "{}."), (0.12, "{},"), (0.125, "{}:"), (0.13, '"{}"'), (0.14, "{} 1984"))


def words(rng: random.Random, count: int, *, is_punctuated: bool = False) -> str:
    """Return made-up prose in which words are as common and as rare as in real prose, punctuated if asked for."""
    chosen = rng.choices(_WORDS, cum_weights=_SHARES, k=count)
    if is_punctuated:
        for i in range(count - 1):
            mark = rng.random()
            form = next((form for share, form in _MARKS if mark < share), "{}")
            chosen[i] = form.format(chosen[i])
            if form == "{}.":
                chosen[i + 1] = chosen[i + 1].capitalize()
    text = " ".join(chosen)
    return text[0].upper() + text[1:] + "."


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


def rag_run(count: int, *, has_refs: bool = True, is_punctuated: bool = False) -> list[SpanRecord]:
    """Return the records of a long run: retrieval, undecorated prompts with glue, answers, labels, reports."""
    rng = random.Random(0)
    prose = partial(words, rng, is_punctuated=is_punctuated)
    make = _Maker(has_refs=has_refs)
    labels = ["billing", "refund", "Yes", "No"]
    while len(make.records) < count:
        question = prose(12)
        docs = make.call("app.retrieve", "retriever", {"query": question, "k": 3}, [prose(40) for _ in range(3)])
        body = "Answer with the context only.\nContext:\n" + "\n".join(docs) + f"\nQuestion: {question}\nAnswer:"
        answer = make.call("app.answer:chat", "llm", {"messages": [{"role": "user", "content": body}]}, prose(35))
        body = f"Classify the text below with one word.\nText: {answer}\nLabel:"
        label = make.call(
            "app.label:chat", "llm", {"messages": [{"role": "user", "content": body}]}, rng.choice(labels)
        )
        body = f"Write a reply.\nKind: {label}\nNotes:\n- {answer[:120]}\n- {docs[0].lower()}"
        make.call("app.reply:chat", "llm", {"messages": [{"role": "user", "content": body}]}, prose(35))
    return make.records[:count]


def steps_run(count: int, *, has_refs: bool = False, is_punctuated: bool = False) -> list[SpanRecord]:
    """Return the records of a chain of calls with 1 KB in and 200 B out, each fed by the last two."""
    prose = partial(words, random.Random(0), is_punctuated=is_punctuated)
    make = _Maker(has_refs=has_refs)
    last = [prose(30), prose(30)]
    while len(make.records) < count:
        body = f"Step with the notes below.\n{prose(90)}\nEarlier: {last[-1]}\nBefore: {last[-2].upper()}"
        last.append(make.call("app.step", "llm", {"prompt": body}, prose(35)))
    return make.records


def words_pass(texts: list[str], pattern: re.Pattern[str]) -> int:
    """Return how many words the texts have: the yardstick."""
    return sum(len(pattern.findall(text)) for text in texts)


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians over interleaved rounds, in this process."""

    ratio: float
    inference: float
    """CPU microseconds a record."""
    yardstick: float


def cost(records: list[SpanRecord], rounds: int) -> Cost:
    """Return what inference costs beside the yardstick over the same texts."""
    texts = [
        leaf
        for record in records
        for value in (*record.inputs.values(), record.output)
        for _, leaf in leaves(value, "")
        if isinstance(leaf, str)
    ]
    pattern = re.compile(r"\w+")
    found: list[tuple[float, float]] = []
    for _ in range(rounds):
        gc.collect()
        start = process_time()
        words_pass(texts, pattern)
        middle = process_time()
        graph = build(records)
        found.append((process_time() - middle, middle - start))
        del graph
    each = 1e6 / len(records)
    inference, yardstick = (median(times) * each for times in zip(*found, strict=True))
    return Cost(median(one / other for one, other in found), inference, yardstick)


def memory(records: list[SpanRecord]) -> tuple[float, float]:
    """Return bytes a record that the graph holds beside the records, and at the peak of inference."""
    build(records[:10])
    gc.collect()
    tracemalloc.start(1)
    graph = build(records)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert graph.nodes
    return held / len(records), peak / len(records)


def main() -> int:
    """Print one line a run and size; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 5000, 20_000])
    parser.add_argument("--rounds", type=int, default=15, help="rounds at 1,000 records; fewer at more")
    chosen = parser.parse_args()
    missed: list[str] = []
    print(f"{'run':26} {'records':>7} {'ratio':>6} {'us a record':>12} {'words us':>9} {'graph B':>8} {'peak B':>7}")
    for make in (rag_run, steps_run):
        for is_punctuated in (False, True):
            title = f"{make.__name__}, {'prose' if is_punctuated else 'words alone'}"
            first: Cost | None = None
            for count in chosen.sizes:
                records = make(count, is_punctuated=is_punctuated)
                now = cost(records, max(3, chosen.rounds * 1000 // count))
                held, peak = memory(records)
                print(
                    f"{title:26} {count:7} {now.ratio:6.1f} {now.inference:12.0f} {now.yardstick:9.1f} "
                    f"{held:8.0f} {peak:7.0f}"
                )
                first = first or now
                if count <= 1000 and now.ratio > RATIO:
                    missed.append(f"{title}: {now.ratio:.1f} times the yardstick, at most {RATIO}")
                if now.inference > first.inference * LINEAR:
                    missed.append(f"{title}: {now.inference / first.inference:.2f} times the CPU a record at {count}")
                if held > BYTES:
                    missed.append(f"{title}: {held:.0f} bytes a record, at most {BYTES}")
    print("\n".join(missed) or "every bar is met")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
