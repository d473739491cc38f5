# A notebook, exported: everything at the top level, one cell after the other.

# %%
import os

from openai import OpenAI

client = OpenAI(api_key=os.environ["OPENAI_API_KEY"])
article = os.environ["ARTICLE"]
audience = os.environ["AUDIENCE"]

# %%
# First attempt: a plain instruction
response = client.chat.completions.create(
    model="gpt-4o-mini",
    messages=[
        {"role": "system", "content": "You are a helpful assistant that explains articles to busy people."},
        {"role": "user", "content": f"Explain this article to {audience}:\n{article}"},
    ],
)
summary = response.choices[0].message.content

# %%
# Second attempt: a chain of density
prompt = f"""Article: {article}

You will write shorter and denser summaries of the article above.
Step 1: find facts that are missing from this summary: {summary}
Step 2: write a new one of the same length that has them.
"""
dense = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}])
dense = dense.choices[0].message.content

# %%
if __name__ == "__main__":
    questions = ["Who wrote the article, and when was that?", "Is there anything in it about money?"]
    for q in questions:
        answer = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[
                {"role": "user", "content": f"Summary: {dense}\n\nQuestion: {q}\n\nIf it can't be known, say so."}
            ],
        )
        os.environ["RESULT"] = answer.choices[0].message.content
