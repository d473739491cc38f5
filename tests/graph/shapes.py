"""What generated programs do: one function a habit of real programs, by level."""

from __future__ import annotations

import asyncio
import codecs
import contextvars
import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel

from .generate import hash_of
from .tracked import Prov, Text, Tree, cat, dumped, join, listed, literal, mapping
from .vocabulary import CITIES, LABELS, PLAIN, SHORT_TEMPLATES, SINGLE, TEMPLATES, paragraph, sentence


@dataclasses.dataclass
class Document:
    text: str
    title: str
    score: float


class Note(BaseModel):
    summary: str
    facts: list[str]


# -- level 0: objects passed on ------------------------------------------------------------------------------------


def step(p):
    text = literal(paragraph(p.rng))
    p.keep(p.function(p.rng.choice(["draft", "expand", "note"]), {"text": p.one(), "mode": "fast"}, text))


def docs_as_list(p):
    docs = p.retrieve(p.one())
    p.keep(p.function("read", {"question": p.question, "docs": docs}, literal(paragraph(p.rng))))


def docs_as_objects(p):
    texts, titles = [literal(paragraph(p.rng)) for _ in range(3)], [literal(sentence(p.rng, 4, 6)) for _ in range(3)]

    def make(label):
        own = [(a.by(label), b.by(label)) for a, b in zip(texts, titles)]
        objects = [Document(a.obj, b.obj, 0.5) for a, b in own]
        return Tree(objects, [text for pair in own for text in pair])

    docs = p.call("search", "retriever", {"query": p.question}, make)
    p.keep(p.function("digest", {"documents": docs}, literal(paragraph(p.rng))))


def distractor(p):
    p.function(p.rng.choice(["log", "count", "probe"]), {"value": p.one()}, literal(paragraph(p.rng, 1, 1)))


def as_mapping(p):
    text, reason = literal(paragraph(p.rng)), literal(sentence(p.rng))
    entries = {"text": text, "reason": reason, "ok": True}
    result = p.call("plan", "function", {"goal": p.one()}, lambda label: mapping(entries).by(label))
    if p.rng.random() < 0.5:
        p.keep(p.function("execute", {"plan": result}, literal(paragraph(p.rng))))
    else:
        p.keep(result.texts[0])


def transparent_container(p):
    def make(label):
        p.truth.containers.add(label)
        docs = p.retrieve(p.question)
        inner = p.function("read", {"question": p.question, "docs": docs}, literal(paragraph(p.rng)))
        return inner.held_by(label)

    p.keep(p.call("workflow", "function", {"question": p.question, "seed": p.one()}, make))


def handed_on(p):
    """A node that returns its argument unchanged."""
    text = p.one()
    p.keep(p.call("check", "function", {"text": text}, text.held_by))


# -- level 1: rendered prompts -------------------------------------------------------------------------------------


def ask(p):
    p.keep(p.ask(site=p.rng.choice(["answer", "solve", "explain"])))


def rag(p):
    docs = p.retrieve(p.question)
    prompt = p.prompt("rag_prompt", TEMPLATES[0], {"a": join("\n", docs.texts), "b": p.question})
    p.keep(p.answer([("user", prompt)], site="rag"))


def two_step(p):
    first = p.ask(site="query")
    docs = p.retrieve(first)
    prompt = p.prompt("two_prompt", TEMPLATES[1], {"a": join("\n\n", docs.texts), "b": first})
    p.keep(first, p.answer([("system", literal(PLAIN[0])), ("user", prompt)], site="two"))


def functional_llm(p):
    """A decorated function around prompt and model: a container with text of its own."""
    texts = p.recent(2)

    def make(label):
        prompt = p.prompt("inner_prompt", TEMPLATES[2], {"a": texts[0], "b": p.question})
        p.truth.inputs[label] += prompt.provs()
        return literal(paragraph(p.rng)).by(label)

    p.keep(p.call("respond", "llm", {"text": texts[0], "question": p.question}, make))


# -- level 2: glue, loops, dedup -----------------------------------------------------------------------------------


def glued(p, text):
    kind = p.rng.randrange(7)
    if kind == 0:
        return text.lower()
    if kind == 1:
        return text.title()
    if kind == 2:
        return text.slice(0, max(40, int(len(text) * p.rng.uniform(0.4, 0.9))))
    if kind == 3:
        return cat("  ", text, " \n").strip()
    if kind == 4 and ". " in text.obj:
        return p.rng.choice(text.split(". "))
    if kind == 5:
        return cat(text.slice(0, 60), "...")
    return text


def undecorated(p):
    p.keep(glued(p, p.one()))


def json_answer(p):
    facts = [literal(sentence(p.rng)) for _ in range(p.rng.randint(2, 3))]
    summary = literal(paragraph(p.rng, 1, 2))
    body = dumped({"summary": summary, "facts": facts}, indent=p.rng.choice([None, 2]))
    if p.rng.random() < 0.5:
        body = cat("```json\n", body, "\n```")
    system = p.prompt("json_task", SINGLE[1], {})

    parts = []

    def make(label):
        parts.extend([summary.by(label), *(fact.by(label) for fact in facts)])
        return body.by(label)

    p.llm("extract", [("system", system), ("user", p.one())], make)
    chosen = [text for text in parts]
    form = p.rng.randrange(3)
    if form == 0:
        p.keep(*chosen)
    elif form == 1:
        note = Tree(Note(summary=chosen[0].obj, facts=[text.obj for text in chosen[1:]]), chosen)
        p.keep(p.function("store", {"note": note}, literal(paragraph(p.rng))))
    else:
        p.keep(dumped({"source": p.question, "facts": chosen[1:]}))


def multi_hop(p):
    context = []
    queries = []
    for hop in range(p.rng.randint(2, 3)):
        known = join("\n", context) if context else literal("(nothing)")
        prompt = p.prompt("hop_prompt", TEMPLATES[3], {"a": known, "b": p.question})
        query = p.answer([("user", prompt)], site="hop", text=sentence(p.rng, 5, 9)).strip()
        queries.append(query)
        found = p.retrieve(query, site="hop_search").texts
        if context and p.rng.random() < 0.7:
            found = [*found, context[0]]
        for text in found:
            if text.obj not in [other.obj for other in context]:
                context.append(text)
    if p.rng.random() < 0.5:
        context = sorted(context, key=lambda text: text.obj)
    numbered = join("\n", [cat(f"[{i + 1}] ", text) for i, text in enumerate(context)])
    prompt = p.prompt("combine_prompt", TEMPLATES[0], {"a": numbered, "b": p.question})
    p.keep(p.answer([("user", prompt)], site="combine"))


def chat(p):
    system = p.prompt("chat_system", SINGLE[0], {})
    history = [("system", system)]
    for _ in range(p.rng.randint(2, 4)):
        said = p.one() if p.rng.random() < 0.3 else literal(sentence(p.rng))
        history.append(("user", said))
        reply = p.answer(list(history), site="chat")
        history.append(("assistant", reply))
    p.keep(history[-1][1])
    if p.rng.random() < 0.4:
        transcript = join("\n", [cat(role + ": ", text) for role, text in history[1:]])
        p.keep(p.answer([("user", cat("Summarize this conversation:\n", transcript))], site="recap"))


def map_reduce(p):
    chunks = (
        [literal(paragraph(p.rng)) for _ in range(p.rng.randint(2, 4))]
        if p.rng.random() < 0.5
        else p.retrieve(p.question).texts
    )
    parts = []
    for chunk in chunks:
        prompt = p.prompt("map_prompt", TEMPLATES[2], {"a": chunk, "b": p.question})
        parts.append(p.answer([("user", prompt)], site="map"))
    bullets = join("\n", [cat("- ", part.strip()) for part in parts])
    prompt = p.prompt("reduce_prompt", TEMPLATES[5], {"a": bullets, "b": p.question})
    p.keep(p.answer([("user", prompt)], site="reduce"))


def recursion(p):
    def level(depth, text):
        def make(label):
            p.truth.containers.add(label)
            if depth == 0:
                return p.answer([("user", cat("Condense: ", text))], site="leaf").held_by(label)
            halves = [text.slice(0, len(text) // 2), text.slice(len(text) // 2)]
            inner = [level(depth - 1, half) for half in halves]
            joined = join(" ", inner)
            return joined.held_by(label)

        return p.call("fold", "function", {"depth": depth, "text": text}, make)

    p.keep(level(p.rng.randint(1, 2), cat(p.one(), " ", literal(paragraph(p.rng, 2, 4)))))


def regex_group(p):
    value = sentence(p.rng, 4, 8).rstrip(".!?")
    said = cat(literal(paragraph(p.rng, 1, 2)), "\nAnswer: ", literal(value))
    reply = p.llm("reason", [("user", cat(PLAIN[1], "\n\n", p.one()))], lambda label: said.by(label))
    p.keep(reply.after("Answer: "))


def dict_merge(p):
    one = p.call("facts", "function", {"text": p.one()}, lambda l: mapping({"fact": literal(sentence(p.rng))}).by(l))
    two = p.call("views", "function", {"text": p.one()}, lambda l: mapping({"view": literal(sentence(p.rng))}).by(l))
    merged = mapping({"fact": one.texts[0], "view": two.texts[0], "limit": 5})
    p.keep(p.function("merge", {"state": merged}, literal(paragraph(p.rng))))


# -- level 3: short labels, copying models, threads ----------------------------------------------------------------


def classify(p):
    label_text = p.rng.choice(LABELS)
    text = p.one()
    options = ", ".join(p.rng.sample(LABELS[2:6], 3))
    prompt = p.prompt("classify_prompt", SHORT_TEMPLATES[0].replace("{options}", options), {"a": text})
    label = p.answer([("user", prompt)], site="classify", text=label_text)
    form = p.rng.randrange(4)
    if form == 0:
        body = cat("Category: ", label.strip(), "\nWrite a reply to this message.\n", text)
    elif form == 1:
        body = cat(dumped({"category": label.strip(), "text": text}))
    elif form == 2:
        body = cat("The customer message below was sorted.\n", text, '\nSorted as: "', label.strip().lower(), '"')
    else:
        p.keep(p.function("route", {"label": label.strip(), "text": text}, literal(paragraph(p.rng))))
        return
    p.keep(p.answer([("user", body)], site="reply" + str(form)))


def vote(p):
    texts = []
    prompt = p.prompt("vote_prompt", SHORT_TEMPLATES[1], {"a": p.one(), "b": p.question})
    options = p.rng.sample(LABELS, 2)
    for _ in range(p.rng.randint(2, 5)):
        texts.append(p.answer([("user", prompt)], site="vote", text=p.rng.choice(options)))
    if p.rng.random() < 0.5:
        p.keep(p.function("tally", {"votes": listed(texts)}, literal(sentence(p.rng))))
    else:
        lines = join("\n", [cat(f"Vote {i + 1}: ", text) for i, text in enumerate(texts)])
        p.keep(p.answer([("user", cat("These are the votes.\n", lines, "\nWhat is the majority?"))], site="judge"))


def count_items(p):
    number = str(p.rng.randint(2, 40))
    reply = p.answer([("user", cat(SHORT_TEMPLATES[2].replace("{a}", ""), p.one()))], site="counter", text=number)
    if p.rng.random() < 0.5:
        value = Tree(int(number), [reply])
        p.keep(p.function("scale", {"amount": value, "text": p.question}, literal(paragraph(p.rng))))
    else:
        p.keep(p.answer([("user", cat("Total: ", reply, "\nExplain the total for: ", p.question))], site="total"))


def city(p):
    name = p.rng.choice(CITIES)
    reply = p.llm(
        "locate",
        [("user", cat("Where is this?\n", p.one()))],
        lambda label: literal(name + p.rng.choice(["", "", "."])).by(label),
    )
    reply = reply.slice(0, len(name))
    docs = p.retrieve(reply, site="city_search") if p.rng.random() < 0.5 else None
    if docs is None:
        p.keep(p.answer([("user", cat("City: ", reply, "\nDescribe the city."))], site="guide"))
    else:
        p.keep(p.answer([("user", cat('Facts about "', reply, '":\n', join("\n", docs.texts)))], site="guide2"))


def copying(p):
    """A model that repeats a sentence of its prompt."""
    source = p.one()
    prompt = p.prompt("quote_prompt", TEMPLATES[1], {"a": source, "b": p.question})
    quoted = p.rng.choice(source.split(". "))
    said = cat(literal(paragraph(p.rng, 1, 1)), ' As the text says: "', quoted, '"')
    reply = p.llm("quote", [("user", prompt)], lambda label: said.by(label))
    p.keep(reply)
    if p.rng.random() < 0.4:
        p.keep(p.answer([("user", cat("Check this claim.\n", reply, "\nSource: ", source))], site="verify"))


def rerank(p):
    docs = p.retrieve(p.question, count=4)
    texts = list(docs.texts)
    p.rng.shuffle(texts)
    texts = texts[: p.rng.randint(1, 3)]
    chosen = p.call("rerank", "function", {"query": p.question, "docs": docs}, lambda label: listed(texts).by(label))
    prompt = p.prompt("rag_prompt", TEMPLATES[0], {"a": join("\n", chosen.texts), "b": p.question})
    p.keep(p.answer([("user", prompt)], site="ranked"))


def pool_map(p):
    """ThreadPoolExecutor.map over texts; the order of ends is drawn, not left to the scheduler."""
    texts = [literal(paragraph(p.rng)) for _ in range(p.rng.randint(2, 4))]
    if p.rng.random() < 0.6:
        texts = p.retrieve(p.question, count=len(texts)).texts
    short = p.rng.random() < 0.4
    says = [p.rng.choice(LABELS[:4]) if short else paragraph(p.rng, 1, 2) for _ in texts]
    order = list(range(len(texts)))
    p.rng.shuffle(order)
    turns = [threading.Event() for _ in range(len(texts) + 1)]
    started = [threading.Event() for _ in range(len(texts) + 1)]
    started[0].set()
    turns[0].set()
    site = f"{p.module}.work:chat"
    labels = [p.label(site) for _ in texts]
    context = contextvars.copy_context()

    def work(i):
        started[i].wait(5)
        rank = order.index(i)

        def make(label):
            started[i + 1].set()
            turns[rank].wait(5)
            return literal(says[i]).by(label)

        rows = Tree([{"role": "user", "content": cat("Rate this text.\n", texts[i]).obj}], [texts[i]])
        result = context.copy().run(lambda: p.call("work:chat", "llm", {"messages": rows}, make, label=labels[i]))
        turns[rank + 1].set()
        return result

    with ThreadPoolExecutor(max_workers=len(texts)) as pool:
        results = list(pool.map(work, range(len(texts))))
    if short:
        lines = join("\n", [cat("- ", text.slice(0, 50), ": ", result) for text, result in zip(texts, results)])
    else:
        lines = join("\n", [cat(f"{i + 1}. ", result) for i, result in enumerate(results)])
    p.keep(p.answer([("user", cat("Here are the ratings of all texts.\n", lines))], site="collect"))


def gathered(p):
    async def one(text, said):
        return p.answer([("user", cat("Translate: ", text))], site="translate", text=said)

    async def every():
        return await asyncio.gather(*(one(text, paragraph(p.rng, 1, 2)) for text in p.recent(3)))

    results = asyncio.run(every())
    p.keep(join("\n", results) if p.rng.random() < 0.5 else p.rng.choice(results))


def streamed(p):
    """A generator whose items are used before it ends."""
    site = f"{p.module}.stream"
    label = p.label(site)
    source = p.one()
    p.consume(label, {"text": source})
    items = [literal(sentence(p.rng)).by(label) for _ in range(3)]
    replies = []
    for _, item in zip(p.recorder.stream(site, "function", {"text": source.obj}, [item.obj for item in items]), items):
        text = item if p.rng.random() < 0.5 else cat("Next part: ", item)
        replies.append(p.answer([("user", text)], site="consume"))
    p.keep(p.rng.choice(replies), p.rng.choice(items))


def retried(p):
    """A query that fails at first; the error goes into the next prompt."""
    query = p.answer([("user", cat("Write SQL for: ", p.question))], site="sql", text="SELECT " + sentence(p.rng, 4, 7))
    reason = literal(f"no such column {sentence(p.rng, 3, 6)}")
    failed = []

    def fails(label):
        failed.append(reason.by(label))
        raise ValueError(reason.obj)

    try:
        p.call("execute", "tool", {"sql": query}, fails)
    except ValueError:
        pass
    body = cat("Write SQL for: ", p.question, "\nThe last attempt was:\n", query, "\nIt failed: ", failed[0])
    again = p.answer([("user", body)], site="sql", text="SELECT " + sentence(p.rng, 4, 7))
    rows = p.function("execute", {"sql": again}, literal(paragraph(p.rng, 1, 2)), kind="tool")
    p.keep(rows)


def equal_outputs(p):
    said = paragraph(p.rng, 1, 1)
    one = p.answer([("user", cat("Agent one. ", p.one()))], site="agent_one", text=said)
    two = p.answer([("user", cat("Agent two. ", p.one()))], site="agent_two", text=(said + " ")[:-1])
    p.keep(p.answer([("user", cat("First: ", one, "\nSecond: ", two))], site="arbiter"))


def tool_call(p):
    name = p.rng.choice(CITIES)
    ident = f"call_{p.rng.randrange(10**8):08d}"

    def make(label):
        call = {"id": ident, "type": "function", "function": {"name": "lookup", "arguments": f'{{"place": "{name}"}}'}}
        return Tree({"role": "assistant", "content": None, "tool_calls": [call]}, [literal(name).by(label)])

    asked = p.llm("agent", [("user", p.one())], make)
    place = asked.texts[0]
    found = p.function("lookup", {"place": place}, literal(paragraph(p.rng, 1, 1)), kind="tool")
    rows = [asked.obj, {"role": "tool", "tool_call_id": ident, "content": found.obj}]
    tree = Tree(rows, [place, found])
    said = literal(paragraph(p.rng, 1, 2))
    p.keep(p.call("agent:chat", "llm", {"messages": tree}, lambda label: said.by(label)))


# -- level 4: hard to see ------------------------------------------------------------------------------------------


def ciphered(p):
    source = p.one()
    text = Text([(codecs.encode(part, "rot13"), prov) for part, prov in source.segments])
    p.keep(p.answer([("user", cat("Decode this.\n", text))], site="decode"))


def shuffled(p):
    source = p.one()
    words = source.obj.split()
    p.rng.shuffle(words)
    provs = source.provs()
    text = Text([(" ".join(words), provs[-1] if provs else None)]) if len(set(provs)) <= 1 else source
    p.keep(p.answer([("user", cat("Put these words in order: ", text))], site="unscramble"))


def mid_sentence(p):
    name = p.rng.choice(CITIES)
    reply = p.answer([("user", cat("Which city? ", p.one()))], site="which", text=name)
    body = cat("Please write two lines about the weather of ", reply, " for a visitor in spring")
    p.keep(p.answer([("user", body)], site="weather"))


def truncated_hard(p):
    source = p.one()
    p.keep(p.answer([("user", cat("Preview: ", source.slice(0, 35), "…\nContinue it."))], site="preview"))


SHAPES = {
    0: [step, docs_as_list, docs_as_objects, distractor, as_mapping, transparent_container, handed_on],
    1: [ask, rag, two_step, functional_llm],
    2: [undecorated, json_answer, multi_hop, chat, map_reduce, recursion, regex_group, dict_merge],
    3: [
        classify,
        vote,
        count_items,
        city,
        copying,
        rerank,
        pool_map,
        gathered,
        streamed,
        retried,
        equal_outputs,
        tool_call,
    ],
    4: [ciphered, shuffled, mid_sentence, truncated_hard],
}
