"""A world in miniature: a program with two prompts whose missing words show in its output, a critic, an optimizer."""

import json
import re
import threading

import pytest

from tracediff.capture import begin, note_lost_context
from tracediff.capture.context import current_text
from tracediff.engine import EngineReply
from tracediff.parameters import Parameter

SKILLS = ("alpha", "beta", "gamma", "delta")


class World:
    """Everything a training run needs; keeps every program call and engine request."""

    def __init__(self):
        self.texts = {"app.task": "Count.", "app.style": "Be kind."}
        self.lock = threading.Lock()
        self.runs = []
        self.requests = []
        self.reply = None
        """What replaces the optimizer's reply: (request, number, text) -> EngineReply."""
        self.proposals = 0

    # the program
    def prompt(self, name):
        text = current_text(name)
        if text is None:
            note_lost_context(name)
            text = self.texts[name]
        call = begin(name, "prompt", {}, parameter=Parameter(name, text, role=f"role of {name}"))
        if call:
            call.end(text)
        return text

    def solve(self, system, style, question):
        call = begin("app.solve", "llm", {"system": system, "style": style, "question": question})
        need = question.split()[-1]
        text = style if need in ("gamma", "delta") else system
        answer = f"right {question}" if need in text else f"wrong {question}: missing {need}"
        usage = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 3}
        if call:
            call.end(answer, attributes=usage)
        return answer

    def program(self, question):
        task, style = self.prompt("app.task"), self.prompt("app.style")
        with self.lock:
            self.runs.append((task, style, question))
        return self.solve(task, style, question)

    async def async_program(self, question):
        return self.program(question)

    @staticmethod
    def metric(prediction, sample):
        return float(prediction.startswith("right"))

    @staticmethod
    def data(count, offset=0):
        rows = ((number, SKILLS[number % 4]) for number in range(offset, offset + count))
        return [{"id": f"s{number}", "question": f"question {number} {need}", "answer": "?"} for number, need in rows]

    # the engine
    def engine(self, request):
        with self.lock:
            self.requests.append(request)
            self.proposals += request.purpose == "optimizer"
            number = self.proposals
        if request.purpose == "backward":
            return EngineReply(json.dumps(self.criticism(request.user)), 20, 5)
        name = re.search(r'<parameter name="(.*?)"', request.user)[1]
        current = re.search(r"<parameter .*?>(.*?)</parameter>", request.user, re.DOTALL)[1]
        advice = [word for word in re.findall(r">use (\w+)<", request.user) if word not in current]
        text = f"{current} Use {advice[0]}." if advice else f"{current} Take care {number}."
        if self.reply is not None:
            return self.reply(request, number, text)
        return proposal(text, name)

    @staticmethod
    def criticism(user):
        missing = re.search(r"missing (\w+)", user)
        ids = {name: id_ for id_, name in re.findall(r'<parameter id="(\w+)" name="(.*?)"', user)}
        if not missing:
            return {"feedback": {}, "no_cause": True}
        if not ids:
            return {"feedback": {"output": f"it is missing {missing[1]}"}, "no_cause": False}
        is_style = missing[1] in ("gamma", "delta")
        guilty = next(id_ for name, id_ in ids.items() if name.endswith("style") == is_style)
        return {"feedback": {guilty: f"use {missing[1]}"}, "no_cause": False}

    def asked(self, purpose):
        return [request for request in self.requests if request.purpose == purpose]


def proposal(text, name=""):
    return EngineReply(json.dumps({"method": "extend", "reasoning": f"for {name}", "text": text}), 30, 7)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def train_it(world):
    """Return ``optimize`` on the world, with what a test changes."""
    from tracediff.training import optimize

    def run(program=None, **options):
        settings = {
            "train": world.data(12),
            "val": world.data(16, 100),
            "metric": world.metric,
            "critic": world.engine,
            **options,
        }
        return optimize(program or world.program, **settings)

    return run
