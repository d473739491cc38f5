"""More programs of the kind people write, made to mislead: bystanders with equal labels, restated input, other scripts."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import tracediff as td


def node(name, kind="llm"):
    """A decorator that takes the answers from the function's own body."""
    return td.functional_node(name=name, kind=kind)


# -- a guard beside a router, and the tone in the middle of a sentence ----------------------------------------------


@node("desk.guard")
def guard(text):
    return "safe"


@node("desk.mood")
def mood(text):
    return "furious"


@td.trainable_prompt(name="desk.reply_prompt")
def desk_prompt():
    return "You answer complaints of a ferry line. Promise nothing."


@node("desk.reply")
def desk_reply(messages):
    return "We are sorry that the night ferry left without you and we look into it today."


def complaint_desk():
    text = "The night ferry to Gotland left ten minutes early and nobody told us."
    if guard(text) != "safe":
        return "no"
    tone = mood(text)
    user = f"The writer sounds {tone} today, so be brief.\n\nComplaint:\n{text}"
    return desk_reply([{"role": "system", "content": desk_prompt()}, {"role": "user", "content": user}])


COMPLAINT_DESK = """
desk.mood#0 -> desk.reply#0
desk.reply_prompt#0 -> desk.reply#0
output desk.reply#0
"""


# -- SQL with retry: the error of the database goes back -----------------------------------------------------------


@node("books.write")
def write_sql(prompt):
    if "no such column" in prompt:
        return "```sql\nSELECT title, COUNT(*) FROM loans WHERE returned_on IS NULL GROUP BY title\n```"
    return "```sql\nSELECT title, COUNT(*) FROM loans WHERE returned IS NULL GROUP BY title\n```"


@node("books.run", "tool")
def run_sql(query):
    if "returned_on" not in query:
        raise ValueError("no such column: returned in table loans")
    return [["Dune", 3], ["Middlemarch", 2]]


@node("books.say")
def say(prompt):
    return "Dune is out three times and Middlemarch twice."


def sql_retry():
    schema = "loans(title text, member int, lent_on date, returned_on date)"
    question = "Which books are still out, and how often?"
    ask = f"Write one SQLite query.\nSchema: {schema}\nQuestion: {question}"
    prompt = ask
    for _ in range(3):
        query = re.search(r"```sql\n(.*?)\n```", write_sql(prompt), re.S).group(1)
        try:
            rows = run_sql(query)
            break
        except ValueError as error:
            prompt = f"{ask}\nYour query:\n{query}\nfailed with: {error}\nWrite it again."
    table = "\n".join(f"{title} | {count}" for title, count in rows)
    return say(f"Question: {question}\nRows:\n{table}\nAnswer in one sentence.")


SQL_RETRY = """
books.write#0 -> books.run#0
books.write#0 -> books.write#1
books.run#0 -> books.write#1
books.write#1 -> books.run#1
books.run#1 -> books.say#0
output books.say#0
"""


# -- chat with memory: the summary replaces old turns --------------------------------------------------------------


@node("memory.answer")
def answer_turn(messages):
    return [
        "Plant the garlic in October, about five centimetres deep.",
        "Yes, a layer of straw keeps the frost away from young shoots.",
        "Harvest it when the lower leaves are dry, which is in July.",
    ][sum(m["role"] == "user" for m in messages if "Summary" not in m["content"]) - 1]


@node("memory.shorten")
def shorten(prompt):
    return "The user grows garlic: planted in October, covered with straw."


def chat_with_summary():
    history = []
    for question in ("When do I plant garlic?", "Should I cover it in winter?"):
        history.append({"role": "user", "content": question})
        history.append({"role": "assistant", "content": answer_turn(list(history))})
    told = "\n".join(f"{m['role']}: {m['content']}" for m in history)
    summary = shorten(f"Shorten this talk to one line.\n{told}")
    kept = [{"role": "system", "content": f"Summary so far: {summary}"}, *history[-1:]]
    return answer_turn([*kept, {"role": "user", "content": "And when is it ready?"}])


CHAT_WITH_SUMMARY = """
memory.answer#0 -> memory.answer#1
memory.answer#0 -> memory.shorten#0
memory.answer#1 -> memory.shorten#0
memory.shorten#0 -> memory.answer#2
memory.answer#1 -> memory.answer#2
output memory.answer#2
"""


# -- a rewritten query, and the ranker gets the original one ---------------------------------------------------------


@node("lookup.rewrite")
def rewrite(prompt):
    return 'The user asks "How long may a lithium battery stay in checked luggage?"\nSearch: airline rules spare lithium cells hold'


@node("lookup.search", "retriever")
def search(query):
    return [
        "Spare cells must travel in the cabin with their contacts taped.",
        "Pets in the hold need a leak-proof tray and water.",
        "Devices with built-in cells may be checked in when switched off.",
    ]


@node("lookup.rank")
def rank(prompt):
    return "0, 2"


@node("lookup.answer")
def answer_lookup(prompt):
    return "Only devices with built-in cells may go into the hold, and only switched off."


def rewritten_query():
    question = "How long may a lithium battery stay in checked luggage?"
    query = rewrite(f"Rewrite for a search engine.\nQuestion: {question}").rpartition("Search: ")[2]
    passages = search(query)
    listed = "\n".join(f"[{i}] {text}" for i, text in enumerate(passages))
    picked = [
        passages[int(i)] for i in rank(f"Question: {question}\n{listed}\nNumbers of the useful ones:").split(", ")
    ]
    return answer_lookup("Sources:\n" + "\n".join(picked) + f"\n\nQuestion: {question}")


REWRITTEN_QUERY = """
lookup.rewrite#0 -> lookup.search#0
lookup.search#0 -> lookup.rank#0
lookup.search#0 -> lookup.answer#0
output lookup.answer#0
"""


# -- map-reduce over pages, in threads, with page numbers -----------------------------------------------------------


@node("pages.note")
def note(prompt):
    page = int(re.search(r"Page (\d+)", prompt).group(1))
    return ["The bridge opened in 1932.", "Tolls ended in 1988.", "Nothing of note."][page - 1]


@node("pages.rate", "function")
def rate(text):
    return 2 if "Nothing" in text else 1


@node("pages.reduce")
def reduce_notes(prompt):
    return "Opened in 1932, the bridge has been free of tolls since 1988."


def map_reduce_pages():
    pages = [
        "It was a grey day in 1932 when the king cut the ribbon.",
        "By 1988 the tolls were gone.",
        "Weather notes.",
    ]
    prompts = [f"Page {i} of {len(pages)}:\n{page}\nNote the facts." for i, page in enumerate(pages, 1)]
    with ThreadPoolExecutor(2) as pool:
        notes = list(pool.map(note, prompts))
    kept = [text for text in notes if rate(text) < 2]
    return reduce_notes("Notes:\n" + "\n".join(f"{i}. {text}" for i, text in enumerate(kept, 1)) + "\nOne sentence.")


MAP_REDUCE_PAGES = """
pages.note#0 -> pages.rate#0
pages.note#1 -> pages.rate#1
pages.note#2 -> pages.rate#2
pages.note#0 -> pages.reduce#0
pages.note#1 -> pages.reduce#0
output pages.reduce#0
"""


# -- a jury with a bystander, the labels in one line -----------------------------------------------------------------


@node("jury.language")
def language(text):
    return "GUILTY" if "Gericht" in text else "ENGLISH"


@node("jury.vote")
def jury_vote(prompt, seat):
    return [
        "The alibi holds for the whole evening.\nVerdict: INNOCENT",
        "Two witnesses saw him at the gate.\nVerdict: GUILTY",
        "The alibi is one friend's word only.\nVerdict: GUILTY",
    ][seat]


@node("jury.foreman")
def foreman(prompt):
    return "By two to one the jury finds him guilty."


def jury():
    case = "A man is said to have painted the statue of the mayor at night."
    language("Gericht")
    verdicts = [
        jury_vote(f"Judge this case.\n{case}\nEnd with 'Verdict: ...'", seat).rpartition(": ")[2] for seat in range(3)
    ]
    return foreman(f"The jurors voted: {', '.join(verdicts)}. Announce it.")


JURY = """
jury.vote#0 -> jury.foreman#0
jury.vote#1 -> jury.foreman#0
jury.vote#2 -> jury.foreman#0
output jury.foreman#0
"""


# -- extraction to JSON, fields used apart -----------------------------------------------------------------------------


@node("mail.extract")
def extract(prompt):
    return json.dumps({"name": "Ida Holm", "order": "K-2291", "items": ["teapot", "saucer"], "paid": True})


@node("mail.lookup", "tool")
def lookup(order):
    return {"order": order, "carrier": "Postnord", "parcel": "in transit", "days": 2}


@node("mail.reply")
def mail_reply(prompt):
    return "Dear Ida, your teapot and saucer are on their way and should arrive in two days."


def extraction():
    mail = "Hello, I am Ida Holm and I wait for my teapot and saucer, order K-2291, paid on Friday."
    fields = json.loads(extract(f"Extract name, order, items and paid as JSON.\n\n{mail}"))
    state = lookup(fields["order"])
    goods = " and ".join(fields["items"])
    return mail_reply(
        f"Write to {fields['name']} about {goods}.\nState: {state['parcel']}\nCarrier: {state['carrier']}"
    )


EXTRACTION = """
mail.extract#0 -> mail.lookup#0
mail.extract#0 -> mail.reply#0
mail.lookup#0 -> mail.reply#0
output mail.reply#0
"""


PROGRAMS = [
    (complaint_desk, COMPLAINT_DESK),
    (sql_retry, SQL_RETRY),
    (chat_with_summary, CHAT_WITH_SUMMARY),
    (rewritten_query, REWRITTEN_QUERY),
    (map_reduce_pages, MAP_REDUCE_PAGES),
    (jury, JURY),
    (extraction, EXTRACTION),
]
