"""Programs with structure: nested functions, streams, asyncio, recursion, code."""

from __future__ import annotations

import asyncio
import re

import tracediff as td


@td.trainable_prompt(name="count.task")
def count_task() -> str:
    return "You count objects. Think step by step and end with 'Answer: ' and the number."


@td.functional_node(kind="llm", name="count.model")
def count_model(messages: list[dict]) -> str:
    return "Two apples, one pear and three plums: two plus one plus three is six.\nAnswer: 6"


@td.functional_node(name="count.parse")
def count_parse(text: str) -> int:
    return int(re.search(r"Answer: (\d+)", text)[1])


@td.functional_node(name="count.program")
def count_program(question: str) -> int:
    reply = count_model([{"role": "system", "content": count_task()}, {"role": "user", "content": question}])
    return count_parse(reply)


def object_counting():
    return count_program("I have two apples, a pear and three plums. How many fruits do I have?")


OBJECT_COUNTING = """
count.task#0 -> count.model#0
count.model#0 -> count.parse#0
output count.parse#0
"""


@td.functional_node(kind="llm", name="tree.condense")
def condense(text: str) -> str:
    return {
        "T": "Tides follow the moon.",
        "S": "Storms can raise the water by metres.",
        "D": "Dikes hold it back.",
    }.get(text[0], "Moon and storm lift the sea, dikes hold it.")


@td.functional_node(name="tree.summarize")
def tree_summarize(parts: list[str]) -> str:
    if len(parts) == 1:
        return condense(parts[0])
    middle = len(parts) // 2
    return condense("Merge: " + tree_summarize(parts[:middle]) + " " + tree_summarize(parts[middle:]))


def recursive_summary():
    return tree_summarize([
        "The height of the sea changes twice a day with the pull of the moon.",
        "Storms from the west press water into the bay until the quays are flooded.",
    ])  # fmt: skip


RECURSIVE_SUMMARY = """
tree.condense#0 -> tree.condense#2
tree.condense#1 -> tree.condense#2
output tree.condense#2
"""


@td.functional_node(kind="llm", name="stream.story")
def story(prompt: str):
    yield from [
        "The lighthouse keeper counted seven ships. ",
        "One of them did not answer his lamp. ",
        "He rowed out alone.",
    ]


@td.functional_node(name="stream.speak")
def speak(sentence: str) -> bytes:
    return sentence.encode()


@td.functional_node(kind="llm", name="stream.title")
def title(prompt: str) -> str:
    return "The Silent Ship"


def streamed_story():
    told = ""
    for sentence in story("Tell a story about a lighthouse in three sentences."):
        speak(sentence.strip())
        told += sentence
    return title(f"Find a title for this story.\n\n{told}")


STREAMED_STORY = """
stream.story#0 -> stream.speak#0
stream.story#0 -> stream.speak#1
stream.story#0 -> stream.speak#2
stream.story#0 -> stream.title#0
output stream.title#0
"""


@td.trainable_prompt(name="debate.prompt")
def debate_prompt(side: str, motion: str, heard: str) -> str:
    return f"Argue {side} the motion in one sentence.\nMotion: {motion}\nSaid before: {heard}"


@td.functional_node(kind="llm", name="debate.argue")
async def argue(prompt: str) -> str:
    await asyncio.sleep(0)
    if "Said before: (none)" in prompt:
        return (
            "Short weeks make rested people." if "for" in prompt[:12] else "Shops that close early lose their street."
        )
    return (
        "Rest is no comfort to those without work."
        if "against" in prompt[:16]
        else "Streets live from people with time."
    )


@td.functional_node(kind="llm", name="debate.judge")
async def debate_judge(prompt: str) -> str:
    return "For the motion: time is what both sides value most."


async def debating(motion):
    sides = ("for", "against")
    first = await asyncio.gather(*(argue(debate_prompt(side, motion, "(none)")) for side in sides))
    heard = " / ".join(first)
    second = await asyncio.gather(*(argue(debate_prompt(side, motion, heard)) for side in sides))
    lines = [f"{side}: {one} {two}" for side, one, two in zip(sides, first, second)]
    return await debate_judge("Who won?\n" + "\n".join(lines))


def debate():
    return debating("The working week should have four days.")


DEBATE = """
debate.prompt#0 -> debate.argue#0
debate.prompt#1 -> debate.argue#1
debate.argue#0 -> debate.prompt#2
debate.argue#1 -> debate.prompt#2
debate.argue#0 -> debate.prompt#3
debate.argue#1 -> debate.prompt#3
debate.prompt#2 -> debate.argue#2
debate.prompt#3 -> debate.argue#3
debate.argue#0 -> debate.judge#0
debate.argue#1 -> debate.judge#0
debate.argue#2 -> debate.judge#0
debate.argue#3 -> debate.judge#0
output debate.judge#0
"""


@td.trainable_prompt(name="code.prompt")
def code_prompt(task: str) -> str:
    return f"Write a Python function. Reply with code only.\n\nTask: {task}"


@td.functional_node(kind="llm", name="code.write")
def write_code(prompt: str) -> str:
    if "AssertionError" in prompt:
        return "def mean(values):\n    return sum(values) / len(values) if values else 0.0"
    return "def mean(values):\n    return sum(values) / len(values)"


@td.functional_node(kind="tool", name="code.test")
def run_tests(source: str) -> dict:
    if "if values" in source:
        return {"passed": True, "log": "2 passed"}
    return {"passed": False, "log": "AssertionError: mean([]) should be 0.0, ZeroDivisionError was raised"}


@td.functional_node(name="code.save")
def save(path: str, source: str) -> str:
    return f"wrote {len(source)} characters to {path}"


def code_and_tests():
    prompt = code_prompt("the arithmetic mean of a list, 0.0 when it is empty")
    source = write_code(prompt)
    result = run_tests(source)
    if not result["passed"]:
        source = write_code(f"{prompt}\n\nYour last attempt:\n{source}\n\nThe tests said:\n{result['log']}")
        result = run_tests(source)
    return save("mean.py", source)


CODE_AND_TESTS = """
code.prompt#0 -> code.write#0
code.write#0 -> code.test#0
code.prompt#0 -> code.write#1
code.write#0 -> code.write#1
code.test#0 -> code.write#1
code.write#1 -> code.test#1
code.write#1 -> code.save#0
output code.save#0
"""

PROGRAMS = [
    (object_counting, OBJECT_COUNTING),
    (recursive_summary, RECURSIVE_SUMMARY),
    (streamed_story, STREAMED_STORY),
    (debate, DEBATE),
    (code_and_tests, CODE_AND_TESTS),
]
