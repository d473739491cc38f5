"""Retrieval with a rewriting step, chunks in a dictionary format, a nested f-string."""

from openai import OpenAI

client = OpenAI()
MODEL = "gpt-4o-mini"


def chat(user, system="You are a helpful assistant."):
    return (
        client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
        )
        .choices[0]
        .message.content
    )


def rewrite(question, n):
    text = chat(
        f"Generate {n} search queries, one a line, that would help to answer this question: {question}\nQueries:"
    )
    return text.splitlines()


def retrieve(queries, docs):
    return [{"title": query, "text": doc} for query, doc in zip(queries, docs, strict=False)]


def answer(question, hits, *, user_diet=None):
    context = "".join(f"\n[{h['title']}]\n{h['text']}\n" for h in hits)
    system = f"""You are a cook who answers questions about recipes.
{f"The guest eats only this: {user_diet}. Respect it in everything you say." if user_diet else "The guest eats everything."}
Answer in the same language as the question."""
    query = f'''Use the recipes below to answer the question. If the answer cannot be found, write "I don't know."

Recipes:
"""{context}"""

Question: {question}'''
    return chat(query, system)


def main(question, docs):
    hits = retrieve(rewrite(question, len(docs)), docs)
    return answer(question, hits) + answer(question, hits[:1], user_diet=docs[0])
