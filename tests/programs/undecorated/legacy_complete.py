"""Legacy completions with examples in the prompt, and a classifier beside it."""

from openai import OpenAI

client = OpenAI()

EXAMPLES = """Decide whether a tweet's sentiment is positive, neutral, or negative.

Tweet: I loved the new film!
Sentiment: positive
###
Tweet: The train leaves at nine.
Sentiment: neutral
###
"""


def classify(tweet):
    response = client.completions.create(
        model="davinci-002",
        prompt=EXAMPLES + "Tweet: " + tweet + "\nSentiment:",
        temperature=0,
        max_tokens=1,
        stop="###",
    )
    return response.choices[0].text


def titles(text):
    prompts = [
        f"Propose a title for the following text:\n\n{text}\n\nTitle:",
        f"Which three keywords describe the text?\n\n{text}\n\nKeywords:",
    ]
    return [client.completions.create(model="davinci-002", prompt=prompt).choices[0].text for prompt in prompts]


def main(question, docs):
    return [classify(doc) for doc in docs] + titles(question)
