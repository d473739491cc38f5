"""Extraction with a forced tool, after a summary by a role in the system prompt."""

from anthropic import Anthropic

EXTRACT_TOOL = {
    "name": "print_entities",
    "description": "Prints the people, places and organizations of an article, with the role each of them has in it.",
    "input_schema": {
        "type": "object",
        "properties": {
            "entities": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": {"type": "string"}, "role": {"type": "string"}}},
            }
        },
        "required": ["entities"],
    },
}


def get_completion(client, messages, system=None, **kwargs):
    if system:
        kwargs["system"] = system
    return client.messages.create(model="claude-haiku", max_tokens=800, messages=messages, **kwargs)


def summarize(client, article, n_sentences):
    system = "You are the editor of a newspaper who has to cut every article down to size."
    prompt = (
        f"Summarize the article in {n_sentences} sentences at most. "
        "Leave out quotes, figures and the weather.\n\n"
        f"<article>\n{article}\n</article>"
    )
    return get_completion(client, [{"role": "user", "content": prompt}], system).content[0].text


def extract(client, article):
    query = f"""
    <document>
    {article}
    </document>

    Use the print_entities tool.
    """
    reply = get_completion(
        client,
        [{"role": "user", "content": query}],
        tools=[EXTRACT_TOOL],
        tool_choice={"type": "tool", "name": "print_entities"},
    )
    return next(block.input for block in reply.content if block.type == "tool_use")


def main(question, docs):
    client = Anthropic()
    return [(summarize(client, doc, n), extract(client, doc)) for n, doc in enumerate([question, *docs], 2)]
