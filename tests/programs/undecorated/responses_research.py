"""Research with the responses API: instructions, input items, a developer turn, a chained question."""

from openai import OpenAI

client = OpenAI()

RESEARCHER = {
    "model": "gpt-4.1",
    "instructions": "You are a research assistant. Search your notes for facts that matter to the request "
    "and write them as a list. Do not draw conclusions; others will do that.",
}


def gather(topic, notes):
    return client.responses.create(
        **RESEARCHER,
        input=[
            {"role": "developer", "content": "Notes may be wrong. Mark doubtful facts with a question mark."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": f"Topic: {topic}"},
                    {"type": "input_text", "text": "Notes from the desk:\n" + "\n* ".join(["", *notes]).strip()},
                ],
            },
        ],
    ).output_text


def write_report(topic, facts, tone="sober"):
    return client.responses.create(
        model="gpt-4.1-mini",
        instructions=f"Write reports in a {tone} tone. Use headings, never exceed five hundred words.",
        input=f"Turn these facts into a report about {topic}.\n\nFacts:\n{facts}",
    ).output_text


def main(question, docs):
    return write_report(question, gather(question, docs))
