"""A chat that streams, with a persona from a settings object."""

from dataclasses import dataclass

from openai import OpenAI


@dataclass(frozen=True)
class Settings:
    model: str = "gpt-4o-mini"
    temperature: float = 0.7
    persona: str = "You are Captain Byte, a cheerful pirate who explains computers to children."
    closing: str = "End each answer with a riddle about the sea."


class ChatBot:
    def __init__(self, settings=None):
        self.settings = settings or Settings()
        self.client = OpenAI()
        self.history = [{"role": "system", "content": f"{self.settings.persona}\n{self.settings.closing}"}]

    def say(self, text):
        self.history.append({"role": "user", "content": text})
        stream = self.client.chat.completions.create(
            model=self.settings.model,
            messages=self.history,
            temperature=self.settings.temperature,
            stream=True,
        )
        answer = ""
        for chunk in stream:
            if chunk.choices and (piece := chunk.choices[0].delta.content):
                answer += piece
        self.history.append({"role": "assistant", "content": answer})
        return answer


def main(question, docs):
    bot = ChatBot()
    return [bot.say(text) for text in (question, *docs)][-1]
