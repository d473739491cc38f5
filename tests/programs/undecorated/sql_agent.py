"""Questions to a database: the schema in the prompt, errors go back into it."""

from openai import OpenAI

client = OpenAI()

prompt_template = """### Instructions:
Your task is to convert a question into a SQL query, given a schema of a database.
Adhere to these rules:
- **Use table aliases** to prevent ambiguity.
- When you make a ratio, always cast the numerator as float
- Limit results to 100%% of what was asked for

### Input:
Generate a SQL query that answers the question `%(question)s`.
This query will run on a database with this schema:
%(schema)s

### Response:
```sql
"""

SYSTEM = {"role": "system", "content": "You write SQL for PostgreSQL. {braces} are no placeholders; never use them."}


def generate(question, schema, errors=()):
    prompt = prompt_template % dict(question=question, schema=schema)
    if errors:
        prompt += "\n".join(["", "The last attempts failed with these errors:"] + list(errors))
    reply = client.chat.completions.create(model="m", messages=[SYSTEM, {"role": "user", "content": prompt}])
    return reply.choices[0].message.content


def run(sql):
    if sql.endswith("!"):
        raise ValueError(sql)
    return sql


def main(question, docs):
    errors = []
    while True:
        sql = generate(question, docs[0], errors)
        try:
            rows = run(sql)
            break
        except ValueError as error:
            errors.append(str(error))
    reply = client.chat.completions.create(
        model="m",
        messages=[
            {"role": "system", "content": "You put query results into words for managers."},
            {
                "role": "user",
                "content": "Question: %s\nSQL: %s\nResult: %s\nPut the result into one sentence."
                % (question, sql, rows),
            },
        ],
    )
    return reply.choices[0].message.content
