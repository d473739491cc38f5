"""Every call shape: the same for the program with and without tracediff, one record, and a table that is not stale."""

import pytest

from tests.integrations import shapes_table
from tests.integrations.loopback import Loopback
from tracediff import attributes as keys
from tracediff.capture.faults import faults
from tracediff.capture.values import Placeholder

ROWS = {}


@pytest.fixture(scope="module")
def server():
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture(scope="module")
def clients(server):
    made = shapes_table.Clients(server)
    yield made
    made.close()


def text_of(output):
    if "content" in output:
        return output["content"]
    return {
        key: [v.type if isinstance(v, Placeholder) else v for v in value] if isinstance(value, list) else value
        for key, value in output.items()
    }


@pytest.mark.parametrize("case", shapes_table.CASES, ids=[case.name for case in shapes_table.CASES])
def test_a_program_sees_the_same_and_one_record_is_made(server, clients, case):
    before = faults.counts()
    server.script(case.answer)
    bare = shapes_table.use(case, clients)
    asked = list(server.seen)
    traced, records = shapes_table.traced(case, server, clients)
    assert traced == bare
    assert server.seen == asked
    ROWS.setdefault(case.library, []).append(shapes_table.row_of(case, records))
    (made,) = records
    assert text_of(made.output) == case.text
    assert made.name.startswith(f"tests.integrations.modes.{case.mode.__name__}:")
    assert made.error is None
    assert keys.FAULT not in made.attributes
    assert made.attributes[keys.REQUEST_MODEL] == "sim"
    if made.kind == "llm":
        assert made.attributes[keys.RESPONSE_MODEL] == "sim-2026"
        assert made.attributes[keys.RESPONSE_FINISH_REASONS][0] in ("stop", "end_turn", "tool_calls", "tool_use")
    if made.kind == "llm" and case.text != shapes_table.CALLED and case.method != "completions.create":
        assert made.attributes[keys.USAGE_INPUT_TOKENS] == (12 if case.library == "openai" else 15)
        assert made.attributes[keys.USAGE_OUTPUT_TOKENS] == 7
        assert made.attributes[keys.USAGE_CACHE_READ_TOKENS] == 5
        assert made.attributes[keys.USAGE_REASONING_TOKENS] == 2
    assert shapes_table.PIXEL not in repr(made)
    assert faults.counts() == before


def test_the_table_of_the_readme_is_not_stale():
    if {library: len(rows) for library, rows in ROWS.items()} != count(shapes_table.CASES):
        pytest.skip("made from the cases above; not all of them ran")
    text = shapes_table.README.read_text()
    for library, rows in ROWS.items():
        now = shapes_table.release(shapes_table.version_of(library).split()[1])
        checked = shapes_table.lines_of(library, text)
        said = [row for row, versions in checked.items() if now in map(shapes_table.release, versions)]
        if shapes_table.botocore is None:
            said = [row for row in said if "Bedrock" not in row]
            rows = [row for row in rows if "Bedrock" not in row]
        assert sorted(said) == sorted(rows), "stale: run python -m tests.integrations.shapes_table"


def count(cases):
    found = {}
    for case in cases:
        found[case.library] = found.get(case.library, 0) + 1
    return found
