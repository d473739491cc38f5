"""A prompt that is put together line by line, with parts for what the user has switched on."""

from string import Template

from openai import OpenAI


class PromptBuilder:
    def __init__(self):
        self.parts = []

    def add(self, part, *, when=True):
        if when:
            self.parts.append(part.strip())
        return self

    def build(self, sep="\n\n"):
        return sep.join(self.parts)


OUTPUT_FORMAT = Template("""
Give your answer as a table with the columns $columns.
Leave a cell empty rather than guess; prices are in $$ and without cents.
""")


def system_prompt(verbose, columns):
    builder = PromptBuilder()
    builder.add("You compare offers of craftsmen for people who are about to build a house.")
    builder.add("Explain each difference in a sentence of its own before the table.", when=verbose)
    builder.add(OUTPUT_FORMAT.substitute(columns=", ".join(columns)))
    builder.add("If two offers can't be compared, say so first.")
    return builder.build()


def user_prompt(offers, wish):
    prompt = "These are the offers that came in:\n"
    for number, offer in enumerate(offers, start=1):
        prompt += f"\n### Offer no. {number}\n{offer}\n"
    prompt += f"\nThe owner's own words: {wish}"
    return prompt


def compare(client, offers, wish, verbose=False):
    return client.responses.create(
        model="m",
        instructions=system_prompt(verbose, ["offer", "work", "price"]),
        input=user_prompt(offers, wish),
    ).output_text


def main(question, docs):
    client = OpenAI()
    return [compare(client, docs, question), compare(client, docs[:2], question, verbose=True)]
