"""More such programs: other scripts, workers, debates, searches that share a passage."""

import json
import re

from .everyday import node


# -- in Chinese and German --------------------------------------------------------------------------------------------


@node("zh.search", "retriever")
def zh_search(query):
    return ["图书馆周一闭馆,周二至周日九点开门。", "借书证可以在一楼服务台办理,需要带身份证。"]


@node("zh.answer")
def zh_answer(prompt):
    return "请带身份证到一楼服务台办理借书证,周一闭馆。"


@node("zh.translate")
def zh_translate(prompt):
    return "Bitte bringen Sie Ihren Ausweis an den Schalter im Erdgeschoss; montags ist zu."


def multilingual():
    question = "怎么办理借书证?"
    found = zh_search(question)
    answer = zh_answer(
        "根据资料回答问题。\n资料:\n"
        + "\n".join(f"{i}、{text}" for i, text in enumerate(found, 1))
        + f"\n问题:{question}"
    )
    return zh_translate(f"Übersetze ins Deutsche: „{answer}“")


MULTILINGUAL = """
zh.search#0 -> zh.answer#0
zh.answer#0 -> zh.translate#0
output zh.translate#0
"""


# -- planner and workers, each told what came before ---------------------------------------------------------------


@node("trip.plan")
def trip_plan(prompt):
    return json.dumps({"steps": ["find a train to Lyon", "book a room near the river", "list three museums"]})


@node("trip.work")
def trip_work(task, so_far):
    if "train" in task:
        return "TGV 6607 leaves at 8:58 and arrives at 11:00."
    if "room" in task:
        return "Hotel des Quais has a double room for 112 euros."
    return "Confluences, Gadagne and the museum of miniatures."


@node("trip.write")
def trip_write(prompt):
    return "Take TGV 6607, sleep at Hotel des Quais and see three museums."


def trip():
    steps = json.loads(trip_plan("Plan a weekend in Lyon as JSON."))["steps"]
    done = []
    for step in steps:
        done.append(f"{step}: {trip_work(step, ' / '.join(done))}")
    return trip_write("Turn these notes into a plan.\n- " + "\n- ".join(done))


TRIP = """
trip.plan#0 -> trip.work#0
trip.plan#0 -> trip.work#1
trip.plan#0 -> trip.work#2
trip.work#0 -> trip.work#1
trip.work#0 -> trip.work#2
trip.work#1 -> trip.work#2
trip.plan#0 -> trip.write#0
trip.work#0 -> trip.write#0
trip.work#1 -> trip.write#0
trip.work#2 -> trip.write#0
output trip.write#0
"""


# -- ReAct with a calculator --------------------------------------------------------------------------------------------


@node("calc.think")
def think(prompt):
    if "Observation: 61.5" in prompt:
        return "Thought: I know it now.\nFinal: The fence needs 61.5 metres of wire."
    if "Observation: 20.5" in prompt:
        return "Thought: Three rows are needed.\nAction: multiply[20.5, 3]"
    return "Thought: I need one row first.\nAction: add[12.25, 8.25]"


@node("calc.add", "tool")
def add(a, b):
    return a + b


@node("calc.multiply", "tool")
def multiply(a, b):
    return a * b


def calculator():
    text = "Answer by turns of Thought, Action and Observation.\nQuestion: Two sides of 12.25 and 8.25 metres, three rows of wire?"
    while True:
        reply = think(text)
        if "Final: " in reply:
            return reply.rpartition("Final: ")[2]
        name, left, right = re.search(r"Action: (\w+)\[(.*), (.*)\]", reply).groups()
        value = {"add": add, "multiply": multiply}[name](float(left), float(right))
        text += f"\n{reply}\nObservation: {value}"


CALCULATOR = """
calc.think#0 -> calc.add#0
calc.think#0 -> calc.think#1
calc.add#0 -> calc.think#1
calc.think#1 -> calc.multiply#0
calc.think#0 -> calc.think#2
calc.add#0 -> calc.think#2
calc.think#1 -> calc.think#2
calc.multiply#0 -> calc.think#2
output calc.think#2
"""


# -- debate with a judge who sees both ------------------------------------------------------------------------------


@node("debate.pro")
def pro(prompt):
    return ["Trams move more people on the same street.", "Buses stand in the same jam as cars do."]["Rival" in prompt]


@node("debate.con")
def con(prompt):
    return ["Rails cost ten times what a bus lane costs.", "A lane of their own keeps buses out of the jam."][
        "closing" in prompt
    ]


@node("debate.judge")
def debate_judge(prompt):
    return '{"winner": "con", "reason": "The lane answers the jam."}'


def debate():
    topic = "Should the town build a tram?"
    first = pro(f"Argue for it: {topic}")
    against = con(f"Argue against it: {topic}\nRival: {first}")
    second = pro(f"Argue for it: {topic}\nRival: {against}")
    closing = con(f"Argue against it, closing: {topic}\nRival: {second}")
    talk = "\n\n".join(["PRO: " + first, "CON: " + against, "PRO: " + second, "CON: " + closing])
    return json.loads(debate_judge(f"Who wins?\n\n{talk}"))["winner"]


DEBATE = """
debate.pro#0 -> debate.con#0
debate.con#0 -> debate.pro#1
debate.pro#1 -> debate.con#1
debate.pro#0 -> debate.judge#0
debate.con#0 -> debate.judge#0
debate.pro#1 -> debate.judge#0
debate.con#1 -> debate.judge#0
output debate.judge#0
"""


# -- two searches that share a passage, one of them only warms a cache -----------------------------------------------


@node("wiki.search", "retriever")
def wiki_search(query):
    heron = "The grey heron hunts at the edge of shallow water."
    if "bird" in query:
        return [{"text": heron, "score": 0.9}, {"text": "Kingfishers dive for fish from a branch.", "score": 0.8}]
    return [{"text": heron, "score": 0.7}, {"text": "Pike wait for prey between the reeds.", "score": 0.6}]


@node("wiki.answer")
def wiki_answer(context, question):
    return "Herons hunt in the shallows while kingfishers dive from a branch."


def shared_passage():
    found = wiki_search("birds that fish in rivers")
    wiki_search("predators in ponds")
    return wiki_answer(
        "\n\n".join(f"({i}) {row['text']}" for i, row in enumerate(found, 1)), "How do river birds fish?"
    )


SHARED_PASSAGE = """
wiki.search#0 -> wiki.answer#0
output wiki.answer#0
"""


# -- self-refine where the critic quotes the draft ----------------------------------------------------------------------


@node("essay.write")
def essay_write(prompt):
    if "Critique" in prompt:
        return "Bees find their way by the sun, by landmarks and by smell."
    return "Bees find their way by the sun and they are very clever animals indeed."


@node("essay.critique")
def essay_critique(prompt):
    if "landmarks" in prompt:
        return "OK"
    return 'You write "they are very clever animals indeed", which says nothing; name landmarks and smell.'


def self_refine():
    draft = essay_write("Write one sentence on how bees find home.")
    for _ in range(3):
        remark = essay_critique(f"Draft:\n{draft}\nSay OK if it is good.")
        if remark == "OK":
            break
        draft = essay_write(f"Draft:\n{draft}\n\nCritique:\n{remark}\n\nWrite it again.")
    return draft


SELF_REFINE = """
essay.write#0 -> essay.critique#0
essay.write#0 -> essay.write#1
essay.critique#0 -> essay.write#1
essay.write#1 -> essay.critique#1
output essay.write#1
"""


# -- few-shot examples chosen by a retriever, one label each ---------------------------------------------------------


@node("shots.find", "retriever")
def find_shots(text):
    return [("the parcel never came", "shipping"), ("I was charged twice", "billing"), ("box arrived wet", "shipping")]


@node("shots.spam")
def spam(text):
    return "shipping" if "crate" in text else "no"


@node("shots.classify")
def shots_classify(prompt):
    return "shipping"


@node("shots.file", "tool")
def file_ticket(queue, text):
    return f"ticket 4417 in {queue}"


def few_shot():
    text = "the crate is still at the port"
    spam(text)
    shown = "\n\n".join(f"Text: {said}\nTeam: {team}" for said, team in find_shots(text))
    team = shots_classify(f"Choose the team.\n\n{shown}\n\nText: {text}\nTeam:")
    return file_ticket(team.strip(), text)


FEW_SHOT = """
shots.find#0 -> shots.classify#0
shots.classify#0 -> shots.file#0
output shots.file#0
"""


PROGRAMS = [
    (multilingual, MULTILINGUAL),
    (trip, TRIP),
    (calculator, CALCULATOR),
    (debate, DEBATE),
    (shared_passage, SHARED_PASSAGE),
    (self_refine, SELF_REFINE),
    (few_shot, FEW_SHOT),
]
