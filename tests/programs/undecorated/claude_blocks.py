"""System prompt in blocks, a long document cached, questions one after the other."""

import anthropic

client = anthropic.Anthropic()


def cached_system(book):
    return [
        {
            "type": "text",
            "text": "You are a literary scholar. Answer from the book below, and quote it where you can.\n",
        },
        {"type": "text", "text": f"<book>{book}</book>", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "If the book does not say it, reply with the words: not in the book."},
    ]


def ask(book, question):
    message = client.messages.create(
        model="claude-opus",
        max_tokens=300,
        system=cached_system(book),
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Here is a question from a student of mine:"},
                    {"type": "text", "text": question},
                    {"type": "text", "text": "Please answer it for a beginner."},
                ],
            }
        ],
    )
    return message.content[0].text


def main(question, docs):
    book = "\n\n".join(docs)
    return ask(book, question) + ask(book, docs[0])
