"""Who does what at the desk."""

from string import Template

from openai import OpenAI

from . import prompts
from .prompts import DISCLAIMER, Prompt


class Base:
    system: str = ""

    def __init__(self):
        self.client = OpenAI()

    def run(self, user):
        messages = [{"role": "user", "content": user}]
        if self.system:
            messages.insert(0, {"role": "system", "content": self.system})
        return self.client.chat.completions.create(model="m", messages=messages).choices[0].message.content


class Classifier(Base):
    system = Prompt.CLASSIFY.value


class Drafter(Base):
    system = prompts.Tone.FORMAL + " " + DISCLAIMER

    def run(self, message, kind):
        return super().run(Template(Prompt.DRAFT.value).substitute(count=80, kind=kind, message=message))


class Translator(Base):
    system = f"{prompts.Tone.FRIENDLY}\n\n{DISCLAIMER}"

    def run(self, text, language):
        return super().run(Template(Prompt.TRANSLATE.value).safe_substitute(text=text, language=language))
