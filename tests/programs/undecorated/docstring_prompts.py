"""Functions whose docstring is their prompt, called through a decorator of the program's own."""

import functools
import inspect

from openai import OpenAI


def prompt(model="gpt-4o-mini", **settings):
    def decorate(function):
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args, **kwargs):
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            messages = [{"role": "user", "content": inspect.getdoc(function).format(**bound.arguments)}]
            if (system := function(**bound.arguments)) is not None:
                messages.insert(0, {"role": "system", "content": system})
            return (
                OpenAI().chat.completions.create(model=model, messages=messages, **settings).choices[0].message.content
            )

        return call

    return decorate


@prompt()
def translate(text, language="French"):
    """
    Translate the text into {language}.
    Keep names and numbers as they are.

    Text: {text}
    """


@prompt(temperature=0)
def rate(translation):
    """Rate this translation from one to ten:

    {translation}
    """
    return "You are a sworn translator. You are hard to please."


def main(question, docs):
    return rate(translate(question)) + rate(translate(docs[0], language=docs[1]))
