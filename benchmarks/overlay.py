"""What replacing discovered prompts costs a call of the openai client, as process CPU, over loopback HTTP.

A program with discovered prompts is run with a candidate for all of them; every call has an input of its own, so only
what a real run repeats is known from the call before. Two clients of one process take turns, call by call: a patched
one under the overlay, and the bare library's::

    python -m benchmarks.overlay [--rounds 200] [--json]

``overlay``: CPU of the overlay alone within these calls, median and 95th percentile. ``call``: the difference of the
medians of whole calls, which has the patched client's other work in it as well.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

import tracediff as td
from benchmarks.client_overhead import _serve
from tracediff.capture import outgoing
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.discover import Discovered
from tracediff.discover.replace import Overlay

MEDIAN_MS, P95_MS = 0.1, 1.0
"""The bars."""
_WARM = 20
_LETTERS = random.Random(0)
_WORDS = ["".join(_LETTERS.choices("etaoinshrdlucm", k=_LETTERS.randint(2, 9))) for _ in range(3_000)]
"""A language: the first words are used most."""


@dataclass(frozen=True)
class Case:
    """A program's prompts, and the request of its next call."""

    prompts: tuple[Discovered, ...]
    request: Callable[[random.Random], dict[str, Any]]


def _prose(rng: random.Random, words: int) -> str:
    return " ".join(_word(rng) + ("." if n % 12 == 11 else "") for n in range(words))


def _word(rng: random.Random) -> str:
    return _WORDS[int(len(_WORDS) ** rng.random()) - 1]


def _template(rng: random.Random, words: int, slots: tuple[str, ...] = ()) -> str:
    """Return a prompt of so many words, each slot behind a label on a line of its own."""
    lines = [f"{name.capitalize()} of the {_word(rng)}: {{{name}}}" for name in slots]
    return "\n".join([_prose(rng, words), *lines, _prose(rng, 12)])


def _filled(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _prompt(number: int, text: str, variables: tuple[str, ...] = ()) -> Discovered:
    return Discovered(f"overlay_bench.p{number}", text, variables)


def _chat(system: str, user: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": system}, {"role": "user", "content": user}], **more}


def _answering(words: int, others: int = 0) -> Case:
    """Return one step of retrieval and answer, beside as many prompts of other steps."""
    rng = random.Random(words)
    system, user = _template(rng, 120), _template(rng, 40, ("question", "context"))
    rest = [_template(rng, 60, ("topic", "notes", "draft")) for _ in range(others)]
    prompts = [_prompt(0, system), _prompt(1, user, ("question", "context"))]
    prompts += [_prompt(number, text, ("topic", "notes", "draft")) for number, text in enumerate(rest, 2)]

    def request(inputs: random.Random) -> dict[str, Any]:
        context = "\n\n".join(_prose(inputs, 100) for _ in range(words // 100))
        return _chat(system, _filled(user, question=_prose(inputs, 12), context=context))

    return Case(tuple(prompts), request)


def _agent() -> Case:
    """Return an agent with ten tools, in the middle of a conversation of twenty turns."""
    rng = random.Random(7)
    system, tools = _template(rng, 300), [_template(rng, 25) for _ in range(10)]
    prompts = [_prompt(number, text) for number, text in enumerate([system, *tools])]
    schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    described = [
        {"type": "function", "function": {"name": f"tool_{n}", "description": text, "parameters": schema}}
        for n, text in enumerate(tools)
    ]

    def request(inputs: random.Random) -> dict[str, Any]:
        body = _chat(system, _prose(inputs, 20), tools=described)
        for number in range(10):
            used = {"name": f"tool_{number}", "arguments": json.dumps({"query": _prose(inputs, 4)})}
            call = {"id": f"c{number}", "type": "function", "function": used}
            body["messages"] += [
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": f"c{number}", "content": _prose(inputs, 100)},
            ]
        return body

    return Case(tuple(prompts), request)


CASES: dict[str, Callable[[], Case]] = {
    "answer, 300 words": lambda: _answering(300),
    "answer, 3,000 words": lambda: _answering(3_000),
    "answer, 40 prompts": lambda: _answering(300, 38),
    "agent, 10 tools": _agent,
}


class _Timed:
    """An overlay that keeps the CPU that each of its calls took."""

    def __init__(self, overlay: Overlay) -> None:
        self.overlay = overlay
        self.spent_ms: list[float] = []

    def __call__(self, suffix: str, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        start = time.thread_time_ns()
        made = self.overlay(suffix, body)
        self.spent_ms.append((time.thread_time_ns() - start) / 1e6)
        return made


def _turn_ms(call: Callable[[], object]) -> float:
    start = time.process_time_ns()
    call()
    return (time.process_time_ns() - start) / 1e6


def measure(case: Case, address: str, rounds: int) -> dict[str, float]:
    """Return the overlay's ``median`` and ``p95``, the ``call`` difference and the ``bare`` call, in milliseconds."""
    import openai

    bare, patched = (openai.OpenAI(api_key="k", base_url=address, max_retries=0) for _ in range(2))
    bare.request = MethodType(openai.OpenAI.request, bare)  # type: ignore[method-assign]
    rng = random.Random(0)
    candidate = {p.name: f"Now: {p.text}" for p in case.prompts}
    overlay = Overlay(case.prompts)
    timed = _Timed(overlay)
    instrument("openai")
    stop = outgoing.watch(timed)
    spent: tuple[list[float], list[float]] = [], []
    try:
        with td.using(candidate):
            for number in range(rounds + _WARM):
                request = {"model": "sim", **case.request(rng)}
                for which in (0, 1) if number % 2 else (1, 0):
                    client: Any = (bare, patched)[which]
                    took = _turn_ms(partial(client.chat.completions.create, **request))
                    if number >= _WARM:
                        spent[which].append(took)
                if number % 50 == 0:
                    gc.collect()
    finally:
        stop()
        uninstrument()
        bare.close()
        patched.close()
    if overlay.counts != {"replaced": rounds + _WARM}:
        raise SystemExit(f"not every request was replaced: {dict(overlay.counts)}")
    own = timed.spent_ms[_WARM:]
    bare_ms, patched_ms = map(statistics.median, spent)
    return {
        "median": statistics.median(own),
        "p95": statistics.quantiles(own, n=20)[-1],
        "call": patched_ms - bare_ms,
        "bare": bare_ms,
    }


def main() -> None:
    """Print the cost of each case; exit with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    receiving, sending = multiprocessing.get_context("spawn").Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(sending,), daemon=True)
    server.start()
    try:
        address = f"http://127.0.0.1:{receiving.recv()}/v1"
        found = {name: measure(case(), address, given.rounds) for name, case in CASES.items()}
    finally:
        server.terminate()
        server.join()
    if given.json:
        print(json.dumps(found))
    else:
        print(f"{'CPU, ms a call':22} {'overlay median':>15} {'p95':>7} {'call':>7} {'bare call':>10}")
        for name, of in found.items():
            print(f"{name:22} {of['median']:15.3f} {of['p95']:7.3f} {of['call']:7.3f} {of['bare']:10.2f}")
        print(f"{'bar':22} {MEDIAN_MS:15.3f} {P95_MS:7.3f}")
    if any(of["median"] > MEDIAN_MS or of["p95"] > P95_MS for of in found.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
