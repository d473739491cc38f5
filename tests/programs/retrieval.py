"""Programs that look things up: plain Python as people write it, with their true edges beside them."""

from __future__ import annotations

import json
import re

import tracediff as td

PASSAGES = [
    "The Danube rises in the Black Forest and flows through ten countries to the Black Sea.",
    "Vienna lies on the Danube and was the seat of the Habsburg court for six centuries.",
    "The Rhine rises in the Swiss Alps and reaches the North Sea near Rotterdam.",
    "Budapest was formed in 1873 when Buda, Obuda and Pest on both banks of the Danube were united.",
]


@td.trainable_prompt(name="rag.prompt")
def rag_prompt(question: str, passages: list[str]) -> str:
    return f"Use only these passages.\n\n{chr(10).join(passages)}\n\nQuestion: {question}\nAnswer in one sentence."


@td.functional_node(kind="retriever", name="rag.retrieve")
def retrieve(query: str, k: int = 3) -> list[str]:
    return PASSAGES[:k]


@td.functional_node(kind="llm", name="rag.score")
def score(prompt: str) -> str:
    return "7" if "Vienna" in prompt else "2"


@td.functional_node(kind="llm", name="rag.answer")
def answer(prompt: str) -> str:
    return "Vienna stands on the Danube, as the passage about the Habsburg court says."


def rag_with_reranking():
    question = "Which Habsburg city stands on the Danube?"
    scored = []
    for passage in retrieve(question):
        reply = score(
            f"Rate from 0 to 10 how well the passage answers.\nPassage: {passage}\nQuestion: {question}\nScore:"
        )
        scored.append((int(reply), passage))
    scored.sort(reverse=True)
    return answer(rag_prompt(question, [passage for _, passage in scored[:2]]))


# The scores only decide the order: control flow, no data.
RAG_WITH_RERANKING = """
rag.retrieve#0 -> rag.score#0
rag.retrieve#0 -> rag.score#1
rag.retrieve#0 -> rag.score#2
rag.retrieve#0 -> rag.prompt#0
rag.prompt#0 -> rag.answer#0
output rag.answer#0
"""


@td.trainable_prompt(name="hop.query_prompt")
def hop_query_prompt(question: str, known: str) -> str:
    return f"What should be searched next?\nQuestion: {question}\nKnown so far:\n{known}\nWrite one search query."


@td.functional_node(kind="llm", name="hop.query")
def hop_query(prompt: str) -> str:
    return "Query: river of the Habsburg seat" if "Vienna" not in prompt else "Query: source of the river Danube"


@td.functional_node(kind="retriever", name="hop.search")
def hop_search(query: str) -> list[str]:
    return [PASSAGES[1], PASSAGES[3]] if "Habsburg" in query else [PASSAGES[0], PASSAGES[1]]


@td.functional_node(kind="llm", name="hop.answer")
def hop_answer(messages: list[dict]) -> str:
    return "It rises in the Black Forest."


def multi_hop():
    question = "Where does the river of the Habsburg seat rise?"
    context: list[str] = []
    for _ in range(2):
        reply = hop_query(hop_query_prompt(question, "\n".join(context) or "nothing"))
        query = reply.split("Query:")[1].strip()
        for passage in hop_search(query):
            if passage not in context:
                context.append(passage)
    numbered = "\n".join(f"[{i}] {passage}" for i, passage in enumerate(context, 1))
    return hop_answer([
        {"role": "system", "content": "Answer from the numbered passages."},
        {"role": "user", "content": f"{numbered}\n\n{question}"},
    ])  # fmt: skip


MULTI_HOP = """
hop.query_prompt#0 -> hop.query#0
hop.query#0 -> hop.search#0
hop.search#0 -> hop.query_prompt#1
hop.query_prompt#1 -> hop.query#1
hop.query#1 -> hop.search#1
hop.search#0 -> hop.answer#0
hop.search#1 -> hop.answer#0
output hop.answer#0
"""


@td.functional_node(kind="llm", name="hyde.imagine")
def imagine(prompt: str) -> str:
    return "Honey keeps for years because it holds little water and is acidic, so nothing can grow in it."


@td.functional_node(kind="retriever", name="hyde.nearest")
def nearest(text: str) -> list[dict]:
    return [
        {"id": "d7", "text": "Low water content stops bacteria and yeasts in honey.", "score": 0.83},
        {"id": "d2", "text": "Honey found in old tombs was still edible after three thousand years.", "score": 0.79},
    ]


@td.functional_node(kind="llm", name="hyde.write")
def hyde_write(prompt: str) -> str:
    return "Too dry and too sour for germs [d7], honey outlives those who buried it [d2]."


def hypothetical_document():
    question = "Why does honey not spoil?"
    draft = imagine(f"Write a passage that would answer: {question}")
    hits = nearest(draft)
    sources = "\n".join(f"[{hit['id']}] {hit['text']}" for hit in hits if hit["score"] > 0.5)
    return hyde_write(f"Sources:\n{sources}\n\nAnswer with citations: {question}")


HYPOTHETICAL_DOCUMENT = """
hyde.imagine#0 -> hyde.nearest#0
hyde.nearest#0 -> hyde.write#0
output hyde.write#0
"""


@td.trainable_prompt(name="facts.prompt")
def facts_prompt(text: str) -> str:
    return f"""Read the article and reply with JSON: {{"people": [...], "places": [...], "summary": "..."}}

Article:
{text}"""


@td.functional_node(kind="llm", name="facts.extract")
def extract(prompt: str) -> str:
    return """Here you go:
```json
{"people": ["Ada Lindqvist", "Tomas Berg"], "places": ["Umeå"],
 "summary": "Two engineers opened a repair shop for old radios near the harbour."}
```"""


@td.functional_node(kind="function", name="facts.store")
def store(people: list[str], places: list[str], summary: str) -> str:
    return f"saved {len(people)} people and {len(places)} places"


@td.functional_node(kind="llm", name="facts.headline")
def headline(prompt: str) -> str:
    return "Old radios find a new home by the sea"


def json_extraction():
    article = "In a small shop near the harbour of Umeå, Ada Lindqvist and Tomas Berg now mend what others throw away."
    reply = extract(facts_prompt(article))
    data = json.loads(re.search(r"\{.*\}", reply, re.DOTALL)[0])
    store(**data)
    return headline(f"Write a headline.\nPeople: {', '.join(data['people'])}\nStory: {data['summary']}")


JSON_EXTRACTION = """
facts.prompt#0 -> facts.extract#0
facts.extract#0 -> facts.store#0
facts.extract#0 -> facts.headline#0
output facts.headline#0
"""


@td.functional_node(kind="llm", name="sql.write")
def write_sql(messages: list[dict]) -> str:
    if any("no such column" in message["content"] for message in messages):
        return "```sql\nSELECT name, total FROM orders WHERE total > 100 ORDER BY total DESC\n```"
    return "```sql\nSELECT name, amount FROM orders WHERE amount > 100\n```"


@td.functional_node(kind="tool", name="sql.run")
def run_sql(query: str) -> list[dict]:
    if "amount" in query:
        raise ValueError("no such column: amount")
    return [{"name": "Brandt & Sons", "total": 412.5}, {"name": "Okafor Ltd", "total": 130.0}]


@td.functional_node(kind="llm", name="sql.explain")
def explain_rows(prompt: str) -> str:
    return "Brandt & Sons spent the most, followed by Okafor Ltd."


@td.trainable_prompt(name="sql.task")
def sql_task() -> str:
    return "You write one SQLite query for the table orders. Reply with the query in a code block and nothing else."


def sql_with_retry():
    question = "Which customers have orders above one hundred?"
    messages = [{"role": "system", "content": sql_task()}, {"role": "user", "content": question}]
    for _ in range(3):
        reply = write_sql(messages)
        query = re.search(r"```sql\n(.*?)\n```", reply, re.DOTALL)[1]
        try:
            rows = run_sql(query)
            break
        except ValueError as error:
            messages = [
                *messages,
                {"role": "assistant", "content": reply},
                {"role": "user", "content": f"That failed: {error}. Try again."},
            ]
    return explain_rows(f"Question: {question}\nRows: {json.dumps(rows)}\nExplain the result.")


SQL_WITH_RETRY = """
sql.task#0 -> sql.write#0
sql.write#0 -> sql.run#0
sql.task#0 -> sql.write#1
sql.write#0 -> sql.write#1
sql.run#0 -> sql.write#1
sql.write#1 -> sql.run#1
sql.run#1 -> sql.explain#0
output sql.explain#0
"""

PROGRAMS = [
    (rag_with_reranking, RAG_WITH_RERANKING),
    (multi_hop, MULTI_HOP),
    (hypothetical_document, HYPOTHETICAL_DOCUMENT),
    (json_extraction, JSON_EXTRACTION),
    (sql_with_retry, SQL_WITH_RETRY),
]
