"""Undecorated programs run with marked data: what is found, what is replaced, what stays. ``python -m`` prints a table."""

import asyncio
import contextlib
import importlib.util
import inspect
import io
import itertools
import json
import pathlib
import re
import runpy
import sys
import threading
import zlib
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import tracediff as td
from tests.integrations import anthropic_bodies, bodies
from tests.integrations.loopback import as_json, events, named_events
from tests.programs.worlds import WORLDS
from tracediff import discover
from tracediff.discover.requests import places
from tracediff.graph.runs import record
from tracediff.parameters import split

FOLDER = pathlib.Path(__file__).parent / "undecorated"
DATA = re.compile(r"zq\w+")
WORD = re.compile(r"[^\W\d_]\w*")
SUFFIX = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/completions": "completions",
    "/messages": "messages",
}


def data(number):
    """A question and documents whose every word is marked."""
    words = (f"zq{number}d{k}" for k in itertools.count())
    some = lambda count: " ".join(itertools.islice(words, count))  # noqa: E731
    return f"{some(4)}, {some(3)}?", [f"{some(6)}.", f"{some(3)}\n{some(4)}  {some(1)}", f"{{{some(1)}}} {some(5)}"]


@dataclass
class Seen:
    """A request."""

    suffix: str
    body: bytes
    step: str

    @property
    def places(self):
        return list(places(self.suffix, json.loads(self.body)))

    @property
    def data(self):
        return tuple(DATA.findall(self.body.decode()))


class Model:
    """A loopback server that answers as the world of the running program says."""

    def __init__(self):
        self.world = None
        self.seen = []
        self._lock = threading.Lock()
        self._turns = Counter()
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = model.answer(self.path, body)
                payload = b"".join(answer.chunks)
                self.send_response(answer.status)
                for name, value in {
                    **answer.headers,
                    "content-length": str(len(payload)),
                    "connection": "close",
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def begin(self, world):
        self.world, self.seen = world, []
        self._turns.clear()

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def answer(self, path, raw):
        suffix = next(name for end, name in SUFFIX.items() if path.endswith(end))
        body = json.loads(raw)
        # What a candidate changed would hide the step: requests are told apart by their data and the order of steps.
        step = self.world.step(suffix, body)
        with self._lock:
            turn = self._turns[step.name]
            self._turns[step.name] += 1
            self.seen.append(Seen(suffix, raw, step.name))
        reply = step.replies[min(turn, len(step.replies) - 1)]
        seed = zlib.crc32(" ".join(DATA.findall(raw.decode())).encode())
        words = (f"zq{seed:x}r{k}" for k in itertools.count())
        text = re.sub(r"~(\d)", lambda m: " ".join(itertools.islice(words, int(m[1]))), reply)
        call = re.match(r"@(\w+) (.*)", text)
        return reply_of(suffix, body, text, call)


def reply_of(suffix, body, text, call):
    """The provider's reply that says ``text`` or calls a tool."""
    if suffix == "messages":
        if call:
            used = {"type": "tool_use", "id": "toolu_1", "name": call[1], "input": json.loads(call[2])}
            return as_json(anthropic_bodies.message(None, "tool_use", [used]))
        return as_json(anthropic_bodies.message(text))
    if suffix == "responses":
        if call:
            made = {**bodies.FUNCTION_CALL, "name": call[1], "arguments": call[2]}
            return as_json({**bodies.response(), "output": [made]})
        return named_events(bodies.response_events([text])) if body.get("stream") else as_json(bodies.response(text))
    if suffix == "completions":
        count = len(body["prompt"]) if isinstance(body["prompt"], list) else 1
        choices = [{"index": k, "text": text, "finish_reason": "stop", "logprobs": None} for k in range(count)]
        return as_json({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": choices})
    if body.get("stream"):
        return events(bodies.chat_chunks([text[:5], text[5:]]))
    if call:
        used = {"id": "call_1", "type": "function", "function": {"name": call[1], "arguments": call[2]}}
        return as_json(bodies.chat(None, "tool_calls", [used]))
    return as_json(bodies.chat(text))


class Steps:
    """Which step a request belongs to. A candidate's words are told by what they replaced."""

    def __init__(self, world):
        self.world = world

    @property
    def replies(self):
        return self.world.steps

    def step(self, suffix, body):
        text = "\n".join(place.text for place in places(suffix, body))
        flat = " ".join(re.sub(r"(?<!\w)new_", "", text.replace("\x00", "")).split())
        for step in self.world.steps:
            if step.phrase in flat:
                return step
        raise AssertionError(f"a request of no step: {flat[:300]}")


def marked(text, variables):
    """A candidate's text: every word with a mark before it."""
    made = []
    for literal, variable in split(text, variables):
        made.append(re.sub(r"(?<![\w{])[^\W\d_]\w*", lambda m: f"new_{m[0]}", literal))
        made.append("" if variable is None else "{" + variable + "}")
    return "".join(made)


@dataclass
class Outcome:
    """A run."""

    exit: str
    seen: list

    @property
    def requests(self):
        return Counter(seen.body for seen in self.seen)


class Program:
    """One program of the folder."""

    def __init__(self, name, model, folder=FOLDER):
        self.name, self.model, self.file = name, model, folder / f"{name}.py"
        self.world = Steps(WORLDS[name])
        self.module = None

    def run(self, number):
        """Run it with the data of this number; its exit code and its requests."""
        self.model.begin(self.world)
        question, docs = data(number)
        code = "0"
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                if "def main(" in self.file.read_text():
                    result = self.loaded().main(question, docs)
                    if inspect.isawaitable(result):
                        result = asyncio.run(result)
                else:
                    self.script(question, docs)
            except (Exception, SystemExit) as error:
                code = repr(error)
        return Outcome(code, list(self.model.seen))

    def loaded(self):
        if self.module is None:
            spec = importlib.util.spec_from_file_location(f"undecorated_{self.name}", self.file)
            self.module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = self.module
            spec.loader.exec_module(self.module)
        return self.module

    def script(self, question, docs):
        import os

        os.environ.update(ARTICLE="\n".join(docs), AUDIENCE=question)
        runpy.run_path(str(self.file), run_name="__main__")


@dataclass
class Figures:
    """What is measured of one program; words as (replaced, all)."""

    name: str
    outcome: str = ""
    data_changed: int = 0
    differing: int = 0
    words: dict = field(default_factory=lambda: {role: [0, 0] for role in ("system", "user", "tool")})
    pairs: list = field(default_factory=lambda: [0, 0, 0])
    """Together in both, together by us, together in truth."""
    slots: list = field(default_factory=lambda: [0, 0])
    left: Counter = field(default_factory=Counter)
    counts: Counter = field(default_factory=Counter)
    parameters: tuple = ()
    errors: list = field(default_factory=list)


def observed(program, numbers):
    """The parameters and the grouping of these runs, with the steps in truth."""
    watcher = discover.Observation()
    stop = watcher.watch()
    steps = []
    try:
        for number in numbers:
            with record():
                outcome = program.run(number)
            assert outcome.exit == "0", outcome.exit
            steps += outcome.seen
    finally:
        stop()
    truth = []
    for sent in watcher.sent:
        text = " ".join(" ".join(place.text for place in sent.places).split())
        truth.append(next(step.name for step in program.world.replies if step.phrase in text))
    return discover.find(watcher.sent), truth


def measure(program):
    """Measure one program: discovered in one run, applied to another with other data."""
    figures = Figures(program.name)
    findings, _ = observed(program, [1])
    figures.parameters = findings.parameters
    chosen = [p for p in findings.parameters if p.status == "trainable"]
    plain = program.run(2)
    with discover.discovered(findings.parameters):
        same = program.run(2)
        with td.using({p.name: p.text for p in chosen}), record():
            identity = program.run(2)
    candidate = {p.name: marked(p.text, p.variables) for p in chosen}
    with discover.discovered(findings.parameters) as overlay, td.using(candidate), record(is_trial=True) as run:
        changed = program.run(2)
    figures.counts = overlay.counts
    figures.errors = list(run.lost)
    figures.differing = sum(((same.requests - plain.requests) + (identity.requests - plain.requests)).values())
    figures.outcome = "same" if _shape(plain) == _shape(same) == _shape(identity) == _shape(changed) else "differs"
    before, after = Counter(s.data for s in plain.seen), Counter(s.data for s in changed.seen)
    figures.data_changed = sum(map(len, (before - after).elements()))
    for seen in changed.seen:
        for place in seen.places:
            role = place.role.split()[0]
            text = (
                re.sub(program.world.world.generated, " ", place.text) if program.world.world.generated else place.text
            )
            for word in WORD.findall(DATA.sub(" ", text)):
                figures.words[role][1] += 1
                if word.startswith("new_"):
                    figures.words[role][0] += 1
                else:
                    figures.left[word] += 1
    pooled, truth = observed(program, [3, 4])
    for (a, x), (b, y) in itertools.combinations(zip(pooled.groups, truth, strict=True), 2):
        figures.pairs[0] += a == b and x == y
        figures.pairs[1] += a == b
        figures.pairs[2] += x == y
    names = [variable for p in findings.parameters for variable in p.variables]
    figures.slots = [sum(not re.match(r"slot_\d", name) for name in names), len(names)]
    return figures


def _shape(outcome):
    return outcome.exit, len(outcome.seen)


def total(figures):
    """The sums over programs."""
    words = {role: [sum(f.words[role][k] for f in figures) for k in (0, 1)] for role in ("system", "user", "tool")}
    pairs = [sum(f.pairs[k] for f in figures) for k in range(3)]
    slots = [sum(f.slots[k] for f in figures) for k in (0, 1)]
    return words, pairs, slots


def share(part, whole):
    return part / whole if whole else 1.0


@contextlib.contextmanager
def served(environ):
    """A model that the clients of this process speak to."""
    model = Model()
    environ.update(
        OPENAI_BASE_URL=f"{model.url}/v1", OPENAI_API_KEY="k", ANTHROPIC_BASE_URL=model.url, ANTHROPIC_API_KEY="k"
    )
    td.instrument("openai", "anthropic")
    try:
        yield model
    finally:
        td.uninstrument("openai", "anthropic")
        model.close()


def main():
    import os

    chosen = sys.argv[1:] or sorted(WORLDS)
    with served(os.environ) as model:
        found = [measure(Program(name, model)) for name in chosen]
    for f in found:
        parts = [f"{role} {share(*f.words[role]):.3f}" for role in f.words if f.words[role][1]]
        print(
            f"{f.name:22} {f.outcome:7} data {f.data_changed} bytes {f.differing} {' '.join(parts)} "
            f"P {share(f.pairs[0], f.pairs[1]):.3f} R {share(f.pairs[0], f.pairs[2]):.3f} slots {f.slots} {dict(f.counts)}"
        )
        if f.left or f.errors:
            print(" " * 8, dict(f.left.most_common(14)), f.errors[:2])
        if len(chosen) < 4:
            for p in f.parameters:
                print(f"    {p.status:10} {p.name} {p.line}-{p.end_line} {p.variables} {p.text!r:.110} {p.note}")
    words, pairs, slots = total(found)
    print({role: f"{share(*w):.4f} of {w[1]}" for role, w in words.items()})
    print(
        f"P {share(pairs[0], pairs[1]):.4f} R {share(pairs[0], pairs[2]):.4f} slots {share(*slots):.4f} of {slots[1]}"
    )


if __name__ == "__main__":
    main()
