"""Programs that write and revise: summaries, reflection, chats, translation."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import tracediff as td

REPORT = [
    "The harbour was dredged in spring, and two berths were closed for nine weeks while the work went on.",
    "Cargo fell by four percent over the year, mostly because grain ships used the deeper port to the north.",
    "A new ferry line to the islands carried more passengers than planned and already pays for itself.",
]


@td.trainable_prompt(name="mr.map_prompt")
def map_prompt(chunk: str) -> str:
    return f"Summarize this part of a report in one line:\n\n{chunk}"


@td.trainable_prompt(name="mr.reduce_prompt")
def reduce_prompt(notes: list[str]) -> str:
    return f"Combine the notes into one paragraph for the board.\n\n{chr(10).join('- ' + note for note in notes)}"


@td.functional_node(kind="llm", name="mr.summarize")
def summarize(prompt: str) -> str:
    if "dredged" in prompt:
        return "Dredging closed two berths for nine weeks."
    if "Cargo" in prompt:
        return "Cargo is down four percent as grain moved north."
    return "The island ferry beats its plan."


@td.functional_node(kind="llm", name="mr.combine")
def combine(prompt: str) -> str:
    return "A mixed year: less grain and a closed quay, but a ferry that earns its keep."


def map_reduce_summary():
    notes = [summarize(map_prompt(chunk)) for chunk in REPORT]
    return combine(reduce_prompt(notes))


MAP_REDUCE_SUMMARY = """
mr.map_prompt#0 -> mr.summarize#0
mr.map_prompt#1 -> mr.summarize#1
mr.map_prompt#2 -> mr.summarize#2
mr.summarize#0 -> mr.reduce_prompt#0
mr.summarize#1 -> mr.reduce_prompt#0
mr.summarize#2 -> mr.reduce_prompt#0
mr.reduce_prompt#0 -> mr.combine#0
output mr.combine#0
"""


@td.trainable_prompt(name="reflect.draft_prompt")
def draft_prompt(topic: str) -> str:
    return f"Write two sentences about {topic} for a museum label."


@td.trainable_prompt(name="reflect.critic_prompt")
def critic_prompt(draft: str) -> str:
    return f"You are a strict editor. Name the one thing to improve, or say OK.\n\nDraft:\n{draft}"


@td.trainable_prompt(name="reflect.revise_prompt")
def revise_prompt(draft: str, critique: str) -> str:
    return f"Rewrite the draft so that it meets the critique.\n\nDraft:\n{draft}\n\nCritique:\n{critique}"


@td.functional_node(kind="llm", name="reflect.write")
def write(prompt: str) -> str:
    if "Critique" in prompt:
        return "Salt was worth its weight in trade here. From 1340 on, forty mules a day climbed this road with it."
    return "Salt was very important in the past. Many people carried it over the mountains."


@td.functional_node(kind="llm", name="reflect.judge")
def judge(prompt: str) -> str:
    return "OK" if "1340" in prompt else "The second sentence is vague: give a number or a date."


def reflection():
    draft = write(draft_prompt("the salt road"))
    for _ in range(3):
        critique = judge(critic_prompt(draft))
        if critique == "OK":
            break
        draft = write(revise_prompt(draft, critique))
    return draft


REFLECTION = """
reflect.draft_prompt#0 -> reflect.write#0
reflect.write#0 -> reflect.critic_prompt#0
reflect.critic_prompt#0 -> reflect.judge#0
reflect.write#0 -> reflect.revise_prompt#0
reflect.judge#0 -> reflect.revise_prompt#0
reflect.revise_prompt#0 -> reflect.write#1
reflect.write#1 -> reflect.critic_prompt#1
reflect.critic_prompt#1 -> reflect.judge#1
output reflect.write#1
"""


@td.functional_node(kind="llm", name="chat.complete")
def complete(messages: list[dict]) -> str:
    said = messages[-1]["content"]
    if "summary" in said:
        return "The guest wants a quiet room, arrives late on Friday and has a small dog."
    return "We have a quiet room facing the garden." if "quiet" in said else "A dog is welcome for ten euros a night."


@td.trainable_prompt(name="chat.system")
def chat_system() -> str:
    return "You are the front desk of a small hotel. Be brief and kind."


@td.trainable_prompt(name="chat.memory_prompt")
def memory_prompt(transcript: str) -> str:
    return f"Write a summary of what we know about the guest from this conversation:\n{transcript}"


def chat_with_memory():
    history = [{"role": "system", "content": chat_system()}]
    for said in ["Do you have a quiet room for Friday?", "I will bring a small dog, is that fine?"]:
        history.append({"role": "user", "content": said})
        history.append({"role": "assistant", "content": complete(list(history))})
    transcript = "\n".join(f"{turn['role'].title()}: {turn['content']}" for turn in history[1:])
    memory = complete([{"role": "user", "content": memory_prompt(transcript)}])
    return complete([
        {"role": "system", "content": chat_system() + "\n\nKnown about the guest: " + memory},
        {"role": "user", "content": "What was my last question about, a quiet night?"},
    ])  # fmt: skip


CHAT_WITH_MEMORY = """
chat.system#0 -> chat.complete#0
chat.system#0 -> chat.complete#1
chat.complete#0 -> chat.complete#1
chat.complete#0 -> chat.memory_prompt#0
chat.complete#1 -> chat.memory_prompt#0
chat.memory_prompt#0 -> chat.complete#2
chat.system#1 -> chat.complete#3
chat.complete#2 -> chat.complete#3
output chat.complete#3
"""


@dataclass
class Ticket:
    subject: str
    body: str
    urgency: str


@td.functional_node(kind="llm", name="ticket.parse")
def parse(text: str) -> Ticket:
    return Ticket("Heating fails at night", "The radiators go cold between two and five in the morning.", "high")


@td.functional_node(name="ticket.assign")
def assign(ticket: Ticket) -> str:
    return "Maria Oduya" if ticket.urgency == "high" else "the queue"


@td.functional_node(kind="llm", name="ticket.reply")
def reply(prompt: str) -> str:
    return "Maria Oduya will come by before noon to look at the radiators."


def ticket_triage():
    ticket = parse("hello, our heating stops every night around 2 until 5, please help, the children are freezing")
    person = assign(ticket)
    return reply(f"Write to the tenant.\nSubject: {ticket.subject}\nAssigned to: {person}\nUrgency: {ticket.urgency}")


TICKET_TRIAGE = """
ticket.parse#0 -> ticket.assign#0
ticket.parse#0 -> ticket.reply#0
ticket.assign#0 -> ticket.reply#0
output ticket.reply#0
"""


@td.functional_node(kind="llm", name="tr.translate")
def translate(text: str, language: str) -> str:
    return {
        "German": "Der Zug nach Süden fährt heute von Gleis neun.",
        "English": "Today the train to the south leaves from track nine.",
    }[language]


@td.functional_node(kind="llm", name="tr.compare")
def compare(prompt: str) -> str:
    return "The meaning is kept; only the order of words differs."


def back_translation():
    text = "The southbound train departs from platform nine today."
    german = translate(text, "German")
    back = translate(german, "English")
    verdict = compare(f"Original: {text}\nBack: {back}\nIs the meaning kept?")
    return textwrap.shorten(f"{german} ({verdict})", 200)


BACK_TRANSLATION = """
tr.translate#0 -> tr.translate#1
tr.translate#1 -> tr.compare#0
output tr.translate#0 tr.compare#0
"""

PROGRAMS = [
    (map_reduce_summary, MAP_REDUCE_SUMMARY),
    (reflection, REFLECTION),
    (chat_with_memory, CHAT_WITH_MEMORY),
    (ticket_triage, TICKET_TRIAGE),
    (back_translation, BACK_TRANSLATION),
]
