"""Examples as turns of the conversation, and as a block in the system prompt."""

from openai import OpenAI

client = OpenAI()

EXAMPLES = [
    {"input": "The parcel never came and nobody answers the phone.", "output": "delivery"},
    {"input": "The shirt is too small for me.", "output": "exchange"},
]

SYSTEM = "You label complaints. Use one lower-case word for each, as in the examples."


def label(complaint):
    messages = [{"role": "system", "content": SYSTEM}]
    for example in EXAMPLES:
        messages.append({"role": "user", "content": f"Complaint: {example['input']}"})
        messages.append({"role": "assistant", "content": example["output"]})
    messages.append({"role": "user", "content": f"Complaint: {complaint}"})
    return client.chat.completions.create(model="m", messages=messages).choices[0].message.content


def reword(sentence):
    shots = [
        ("cannot open file", "The file could not be opened."),
        ("no net", "There is no connection to the network."),
    ]
    block = "\n".join(f"Rough: {rough}\nPolite: {polite}" for rough, polite in shots)
    prompt = f"Rewrite error messages so that they sound polite.\n\n{block}\n\nRough: {sentence}\nPolite:"
    return (
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}])
        .choices[0]
        .message.content
    )


def main(question, docs):
    return [label(question), *(reword(doc) for doc in docs)]
