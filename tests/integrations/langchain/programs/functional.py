"""LangGraph's functional form: tasks that run at once, and a prompt made by an f-string."""

from langchain_openai import ChatOpenAI
from langgraph.func import entrypoint, task

model = ChatOpenAI(model="sim", max_retries=0)


@task
def draft(topic):
    return model.invoke([("system", "Write the first line of a ballad."), ("user", f"On this topic: {topic}")]).text


@task
def check(line):
    return {"line": line, "length": f"line of {len(line.split())} words in all"}


@entrypoint()
def program(topic):
    lines = [draft(f"{topic} at {time}") for time in ("dawn", "night")]
    checked = [check(line.result()) for line in lines]
    told = "\n".join("{line} ({length})".format(**item.result()) for item in checked)
    return model.invoke(f"Choose the better line and say why you chose it.\n\n{told}").text


INPUTS = ("herring boats", "the last tram")


def reply(system, said, body):
    if "ballad" in system:
        return "Gold spills over silent water now" if "dawn" in said else "Lanterns count the hours for nobody"
    return "The second one, because lanterns cannot count."


LABELS = {"Gold": "dawn", "Lanterns": "night"}
"""Word of an output -> how the node is called here: the tasks run at once."""
EDGES = """
llm:dawn -> check:dawn
llm:night -> check:night
check:dawn -> llm#2
check:night -> llm#2
output llm#2
"""
PROMPTS = {"system": "Write the"}
