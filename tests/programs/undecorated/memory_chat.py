"""A chat with a rolling summary: the system prompt changes with every turn."""

from openai import OpenAI

SUMMARIZE = """Progressively summarize the lines of conversation, adding to the previous summary.

Current summary:
{summary}

New lines of conversation:
{new_lines}

New summary:"""


class SummaryMemory:
    def __init__(self, llm):
        self.llm, self.summary = llm, ""

    def add(self, human, ai):
        new_lines = f"Human: {human}\nAI: {ai}"
        self.summary = self.llm(
            [{"role": "user", "content": SUMMARIZE.format(summary=self.summary, new_lines=new_lines)}]
        )


class Companion:
    instructions = "You are a patient companion for an old sailor. Speak slowly and ask about the sea."

    def __init__(self):
        self.client = OpenAI()
        self.memory = SummaryMemory(self.llm)
        self.turns = []

    def llm(self, messages):
        return self.client.chat.completions.create(model="gpt-4o-mini", messages=messages).choices[0].message.content

    def reply(self, text):
        system = self.instructions
        if self.memory.summary:
            system += f"\n\nSummary of the conversation so far:\n{self.memory.summary}"
        self.turns.append({"role": "user", "content": text})
        answer = self.llm([{"role": "system", "content": system}, *self.turns[-3:]])
        self.turns.append({"role": "assistant", "content": answer})
        self.memory.add(text, answer)
        return answer


def main(question, docs):
    companion = Companion()
    return "".join(companion.reply(text) for text in (question, *docs))
