"""Summaries of chunks in threads, then a summary of the summaries."""

from concurrent.futures import ThreadPoolExecutor
from threading import Thread

from openai import OpenAI

client = OpenAI()

MAP_TEMPLATE = "The following is one part of a long document:\n{chunk}\nList its main themes.\nThemes:"
REDUCE_TEMPLATE = """These are lists of themes:
{summaries}
Distill them into one final list, the most frequent theme first.
Final list:"""


def complete(template, **values):
    prompt = template.format(**values)
    done = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}])
    return done.choices[0].message.content


def guess(text, results):
    done = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": "Guess the author of a text by its style. Give a name only."},
            {"role": "user", "content": text},
        ],
    )
    results.append(done.choices[0].message.content)


def main(question, docs):
    results = []
    background = Thread(target=guess, args=(question, results))
    background.start()
    with ThreadPoolExecutor() as pool:
        parts = list(pool.map(lambda chunk: complete(MAP_TEMPLATE, chunk=chunk), docs))
    background.join()
    return complete(REDUCE_TEMPLATE, summaries="\n\n".join(parts)) + results[0]
