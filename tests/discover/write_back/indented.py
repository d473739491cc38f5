"""Texts that are indented in the source: dedented constants and f-strings, cleaned docstrings."""

import inspect
from textwrap import dedent

from openai import OpenAI


class Judge:
    """You judge how polite a letter is.

    Reply with a number from one to ten,
    and with nothing else at all.
    """

    RULES = dedent(
        """\
        Read the letter with great care.

          - A letter without a greeting is never polite.
          - A letter that shouts is rude\u2014always.
        """
    )

    def run(self, question, docs):
        prompt = dedent(f"""
            The letter to be judged is this one:
            {question!s}

            Its writer is {docs[0]} and lives far away.
        """).strip()
        done = OpenAI().chat.completions.create(
            model="m",
            messages=[
                {"role": "system", "content": f"{inspect.getdoc(type(self))}\n{self.RULES}"},
                {"role": "user", "content": prompt},
            ],
        )
        return done.choices[0].message.content


def program(question, docs):
    return Judge().run(question.replace("\n", " "), docs)
