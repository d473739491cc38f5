"""Random exchanges with the real clients: all that a program can notice is the same with tracediff as without.

``python -m tests.integrations.test_exchanges 2000`` runs as many; another second number is another seed.
"""

import asyncio
import collections
import contextvars
import copy
import gc
import importlib
import inspect
import random
import sys
import warnings

import pydantic
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.integrations import exchanges, usages
from tracediff import attributes as keys
from tracediff.capture.faults import faults
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.graph.runs import record

LIBRARIES = {}
for _name in ("openai", "anthropic"):
    try:
        LIBRARIES[_name] = importlib.import_module(_name)
    except ModuleNotFoundError:
        pass
PER_SEED = 25


class Count(pydantic.BaseModel):
    place: str | None = None


def http_of(library):
    """The HTTP library that a client speaks through: httpx, or httpx2."""
    name = {"openai": "OpenAI", "anthropic": "Anthropic"}[library]
    with getattr(LIBRARIES[library], name)(api_key="k") as client:
        bases = [base.__module__.partition(".")[0] for base in type(client._client).__mro__]
    return importlib.import_module(next(base for base in bases if base.startswith("httpx")))


def transport_of(http, answers, log, seen):
    """A transport that gives the answers in turn and logs every step of its bodies."""
    waiting = list(answers)

    class Body(http.SyncByteStream, http.AsyncByteStream):
        def __init__(self, answer):
            self.answer = answer

        def __iter__(self):
            for at, chunk in enumerate(self.answer.chunks):
                log("pull", at)
                yield chunk
            if self.answer.end:
                raise getattr(http, self.answer.end)("cut")
            log("over")

        async def __aiter__(self):
            for chunk in self:
                await asyncio.sleep(0)
                yield chunk

        def close(self):
            log("close")

        async def aclose(self):
            log("aclose")

    class Transport(http.BaseTransport, http.AsyncBaseTransport):
        def handle_request(self, request):
            request.read()
            seen.append((request.method, str(request.url), request.headers.raw, request.content, request.extensions))
            log("request")
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            return http.Response(answer.status, headers=answer.headers, stream=Body(answer))

        async def handle_async_request(self, request):
            await request.aread()
            await asyncio.sleep(0)
            return self.handle_request(request)

    return Transport()


def told_by(error):
    """What a program can learn of an exception, without our frames in its traceback."""
    told, depth = [], 0
    while error is not None and depth < 6:
        frames, at = [], error.__traceback__
        while at is not None:
            frames.append((at.tb_frame.f_code.co_filename, at.tb_frame.f_code.co_name, at.tb_lineno))
            at = at.tb_next
        frames = [frame for frame in frames if "/tracediff/" not in frame[0] and __file__ != frame[0]]
        more = {
            name: repr(vars(error)[name])
            for name in ("body", "code", "status_code", "request_id")
            if name in getattr(error, "__dict__", {})
        }
        told.append(
            (type(error), str(error), frames, more, error.__suppress_context__, getattr(error, "__notes__", None))
        )
        error, depth = error.__cause__ or error.__context__, depth + 1
    return told


def outcome(case, mode, retries):
    """The log of everything, and what was asked of the server."""
    gc.freeze()  # the collections look at what this exchange makes
    entries, seen = [], []

    def log(*what):
        entries.append(what)

    http = HTTP[case.library]
    is_async = inspect.iscoroutinefunction(mode)
    name = ("Async" if is_async else "") + {"openai": "OpenAI", "anthropic": "Anthropic"}[case.library]
    http_client = (http.AsyncClient if is_async else http.Client)(transport=transport_of(http, case.answers, log, seen))
    client = getattr(LIBRARIES[case.library], name)(
        api_key="k", base_url="http://provider.test/v1", http_client=http_client, max_retries=retries
    )
    api = client
    for part in case.api.split("."):
        api = getattr(api, part)
    asked, given = case.asked, copy.deepcopy(case.asked)
    unraised = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda fault: unraised.append((fault.exc_type, str(fault.exc_value)))
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                run(mode(api, asked, log), client) if is_async else mode(api, asked, log)
            except Exception as error:
                log("raised", told_by(error))
                error.__traceback__ = None
            gc.collect()
    finally:
        sys.unraisablehook = hook
        if not is_async:
            client.close()
    assert repr(asked) == repr(given)
    told = [(each.category, str(each.message), each.filename, each.lineno) for each in said]
    told = [each for each in told if each[0] is not ResourceWarning and each[2] != __file__]
    ids = [[pair for pair in request[2] if b"idempotency" not in pair[0].lower()] for request in seen]
    requests = [(request[0], request[1], headers, request[3], request[4]) for request, headers in zip(seen, ids)]
    return {
        "log": undrained(entries) if is_async else entries,
        "requests": requests,
        "warnings": told,
        "unraised": unraised,
    }


def undrained(entries):
    """Without what an async client reads before it closes, after the last item: it does so for a limited time."""
    kept = []
    for entry in entries:
        if entry[0] == "aclose":
            while kept and kept[-1][0] in ("pull", "over"):
                kept.pop()
        kept.append(entry)
    return kept


def run(coroutine, client):
    async def main():
        try:
            return await coroutine
        finally:
            gc.collect()
            for _ in range(3):
                await asyncio.sleep(0)
            await client.close()

    with asyncio.Runner() as runner:
        return runner.run(main(), context=contextvars.copy_context())


def modes_of(case):
    if case.parses and case.api in ("chat.completions", "responses") + (("messages", "beta.messages")):
        if not case.is_stream:
            return usages.PARSING
    if not case.is_stream:
        return usages.WHOLE + usages.WHOLE_BYTES
    found = usages.EVENTS + usages.EVENTS_BYTES + usages.EVENTS_PARTLY
    return found if case.api == "completions" else found + (usages.HELPERS + usages.HELPERS_PARTLY) * 2


def drawn(rng):
    """A random exchange, and what the program does with it."""
    while True:
        case = exchanges.exchange(rng)
        if case.library in LIBRARIES:
            break
    mode = rng.choice(modes_of(case))
    if mode in usages.PARSING:
        name = {"chat.completions": "response_format", "responses": "text_format"}.get(case.api, "output_format")
        case.asked[name] = Count
        case.asked.pop("tools", None)  # must be strict ones there
    if mode is usages.posted and case.api in ("completions", "beta.messages"):
        mode = usages.create
    return case, mode, len(case.answers) - 1


def compared(case, mode, retries):
    """What differs between the bare client and the traced one; then what is wrong with the record."""
    bare = outcome(case, mode, retries)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    before = faults.counts()
    instrument(case.library, tracer_provider=provider)
    try:
        with record() as kept:
            traced = outcome(case, mode, retries)
            ended = len(kept.records)
    finally:
        uninstrument()
    wrong = [first_difference(name, bare[name], traced[name]) for name in bare if bare[name] != traced[name]]
    if faults.counts() != before:
        wrong.append(f"faults: {faults.counts()}, before {before}")
    spans = [span for span in exporter.get_finished_spans() if span.name.startswith(("chat", "text", "embeddings"))]
    if not bare["requests"] and not kept.records:  # refused or cancelled before
        return [*wrong, *(["asked in a wrong way"] if "unexpected keyword" in repr(bare["log"]) else [])]
    if (len(kept.records), len(spans), ended) != (1, 1, 1):
        wrong.append(f"{len(kept.records)} records, {ended} in time, {len(spans)} spans")
        return wrong
    if any(entry[0] == "raised" for entry in bare["log"]):
        return wrong
    return wrong + unsaid(case, mode, kept.records[0])


def first_difference(name, bare, traced):
    at = next((at for at, (one, other) in enumerate(zip(bare, traced)) if one != other), min(len(bare), len(traced)))
    return f"{name}[{at}]: bare {bare[at : at + 3]}, traced {traced[at : at + 3]}"


def unsaid(case, mode, made):
    """What the record does not say of a well-formed exchange."""
    if case.is_odd or mode not in usages.READ_WHOLE:
        return []
    wrong = []
    if made.error is not None or keys.FAULT in made.attributes:
        wrong.append(f"error {made.error}, fault {made.attributes.get(keys.FAULT)}")
    if (
        case.text
        and case.text not in str((made.output or {}).get("content"))
        and repr(case.text)[1:-1] not in repr(made.output)
    ):
        wrong.append(f"output {made.output}, said {case.text!r}")
    counts = made.attributes.get(keys.USAGE_INPUT_TOKENS), made.attributes.get(keys.USAGE_OUTPUT_TOKENS)
    if case.usage is not None and counts != case.usage:
        wrong.append(f"usage {counts}, said {case.usage}")
    if case.api != "embeddings" and keys.RESPONSE_FINISH_REASONS not in made.attributes:
        wrong.append("no finish reason")
    return wrong


HTTP = {name: http_of(name) for name in LIBRARIES}


@pytest.fixture(scope="module")
def frozen():
    """Undone is what ``outcome`` does for its many collections."""
    yield
    gc.unfreeze()


@pytest.mark.parametrize("seed", range(8))
def test_random_exchanges_are_the_same(frozen, seed):
    rng = random.Random(seed)
    for number in range(PER_SEED):
        case, mode, retries = drawn(rng)
        assert compared(case, mode, retries) == [], (number, mode.__name__, case)


def main(count, seed):
    rng, found, used = random.Random(seed), 0, collections.Counter()
    for number in range(count):
        case, mode, retries = drawn(rng)
        used[f"{case.api} {mode.__name__}"] += 1
        if wrong := compared(case, mode, retries):
            found += 1
            print(
                f"#{number} {case.api} {mode.__name__} odd={case.is_odd}",
                *(f"    {each[:1500]}" for each in wrong),
                sep="\n",
            )
    print(f"{count} exchanges, {len(used)} pairs of API and mode, {found} that differ")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(*map(int, [*sys.argv[1:], 0][:2])))
