"""An answer with citations from numbered sources, then a check of each citation."""

import json
from textwrap import dedent

from openai import OpenAI

client = OpenAI()


def numbered_sources(docs):
    return "\n\n".join(f"Source {i}:\n{text.strip()}" for i, text in enumerate(docs, start=1))


def build_prompt(question, docs):
    return (
        dedent(
            """\
        Answer the question from the sources below, and from nothing else.
        Whenever you use a source, cite its number in brackets.
        Every answer needs at least one citation.
        For example:
        Source 1:
        The sky is red in the evening and blue in the morning.
        Source 2:
        Water is wet when the sky is red.
        Query: When is water wet?
        Answer: Water is wet when the sky is red [2], which is in the evening [1].
        Now it is your turn. These are the numbered sources:
        ------
        """
        )
        + f"{numbered_sources(docs)}\n------\nQuery: {question}\nAnswer: "
    )


def check(answer, source):
    """Ask whether a source carries the answer."""
    messages = [
        {
            "role": "system",
            "content": dedent("""
                You check citations.
                Return a JSON object with the keys "supported" (true or false) and "why".
            """).strip(),
        },
        {"role": "user", "content": f"<source>{source}</source>\n<answer>{answer}</answer>"},
    ]
    done = client.chat.completions.create(
        model="gpt-4o-mini", messages=messages, response_format={"type": "json_object"}
    )
    return json.loads(done.choices[0].message.content)


def main(question, docs):
    done = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": build_prompt(question, docs)}]
    )
    answer = done.choices[0].message.content
    return answer + "".join(check(answer, doc)["why"] for doc in docs)
