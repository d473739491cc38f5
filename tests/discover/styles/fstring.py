"""An f-string right in the call."""

from openai import OpenAI


def program(question, docs):
    done = OpenAI().chat.completions.create(
        model="m",
        messages=[
            {"role": "system", "content": "You are a careful assistant who answers from the given notes."},
            {
                "role": "user",
                "content": f"Use these notes to answer.\n\nNotes:\n{chr(10).join(docs)}\n\nQuestion: {question}\nAnswer in one line.",
            },
        ],
    )
    return done.choices[0].message.content
