"""In a trial a request is, byte for byte, what the program would send if the new text stood in its code."""

import random

import pytest

import tracediff as td
from tests.integrations import usages
from tests.integrations.exchanges import exchange
from tests.integrations.test_exchanges import LIBRARIES, outcome
from tracediff import discover
from tracediff.capture import trainable_prompt
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.discover import Discovered
from tracediff.graph.runs import record

OLD = "Count each animal on the farm with care, and say in one sentence what you counted: {place}"
NEW = 'Say how many there are in {place} \N{CAT FACE}\n\t"quoted" \u2028 and then stop.'
PLACE = "the {barn} at noon"
APIS = ("chat.completions", "responses", "messages", "beta.messages")


@trainable_prompt(name="in_a_trial.decorated")
def decorated(place):
    return f"Count each animal on the farm with care, and say in one sentence what you counted: {place}"


def filled(text):
    return text.replace("{place}", PLACE)


def asking(case, text):
    """The exchange with this text as its instructions."""
    where = {"chat.completions": "messages", "responses": "instructions"}.get(case.api, "system")
    if where == "messages":
        rest = [message for message in case.asked["messages"] if message["role"] != "system"]
        case.asked = {**case.asked, "messages": [{"role": "system", "content": text}, *rest]}
    else:
        case.asked = {**case.asked, where: text}
    return case


def cases(api, is_stream):
    for seed in range(6):
        case = exchange(random.Random(seed), api, is_stream=is_stream)
        if case.library not in LIBRARIES:
            pytest.skip(f"{case.library} is not installed")
        yield case


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("mode", [usages.create, usages.raw, usages.acreate, usages.stream], ids=lambda m: m.__name__)
@pytest.mark.parametrize("way", ["decorated", "discovered"])
def test_a_candidate_changes_its_text_and_nothing_else(api, mode, way):
    for case in cases(api, mode is usages.stream):
        wanted = outcome(asking(case, filled(NEW)), mode, 0)
        name = f"in_a_trial.{way}"
        instrument(case.library)
        try:
            with td.using({name: NEW}), record(is_trial=True) as run:
                if way == "decorated":
                    got = outcome(asking(case, decorated(PLACE)), mode, 0)
                else:
                    with discover.discovered([Discovered(name, OLD, ("place",))]):
                        got = outcome(asking(case, filled(OLD)), mode, 0)
            assert not run.lost
        finally:
            uninstrument()
        assert got == wanted
        assert "Say how many" in wanted["requests"][0][3].decode()
