"""The anthropic client, with its system field and a tool."""

import anthropic

GUIDE = "You plan journeys for people who travel light. Ask nothing back."


def program(question, docs):
    tools = [
        {
            "name": "search",
            "description": "Search the timetable of all trains for a connection.",
            "input_schema": {"type": "object", "properties": {}},
        }
    ]
    done = anthropic.Anthropic().messages.create(
        model="m",
        max_tokens=50,
        system=GUIDE + "\nThe traveller is called " + docs[0] + " and likes trains.",
        tools=tools,
        messages=[{"role": "user", "content": f"Plan this journey for me, please: {question}"}],
    )
    return done.content[0].text
