"""A judge whose prompt is joined from lists of lines, with a rubric from a dictionary."""

import textwrap

from openai import OpenAI

RUBRIC = {
    "helpfulness": "does the answer solve what the person came for",
    "honesty": "does it admit what it does not know",
}


def rubric_lines():
    for name, meaning in RUBRIC.items():
        yield f"* {name}: {meaning} (0 to 5 points)"


class Judge:
    HEADER = " ".join(
        (
            "You compare the answers of two assistants",
            "and decide which of them is better.",
            "Do not let the order of the answers influence you.",
        )
    )

    def __init__(self, client):
        self.client = client

    def system(self):
        return "\n".join([self.HEADER, "", "Score each answer by this rubric:", *rubric_lines(), "", "Be strict."])

    def user(self, question, first, second):
        return "\n\n".join(
            [
                "[Question]\n" + question,
                f"[Start of the answer of assistant A]\n{first}\n[End of the answer of assistant A]",
                f"[Start of the answer of assistant B]\n{second}\n[End of the answer of assistant B]",
                textwrap.dedent(
                    f"""\
                    First explain your scores in {len(RUBRIC)} short paragraphs.
                    Then write the letter of the better one in double brackets, such as [[A]].
                    """
                ).rstrip(),
            ]
        )

    def __call__(self, question, first, second):
        messages = [
            {"role": "system", "content": self.system()},
            {"role": "user", "content": self.user(question, first, second)},
        ]
        return self.client.chat.completions.create(model="gpt-4o", messages=messages).choices[0].message.content


def main(question, docs):
    judge = Judge(OpenAI())
    return judge(question, docs[0], docs[1]) + judge(question, docs[1], docs[0])
