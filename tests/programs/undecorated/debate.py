"""Two debaters and a judge, asynchronous, each with the other's words in its history."""

import asyncio

from anthropic import AsyncAnthropic

DEBATER = """You take part in a debate about the motion: {motion}
You argue {side} the motion.
Answer your opponent's last argument first, then make one new point of your own.
Stay below one hundred words."""

JUDGE = "You judge debates. You have no opinion on the motion.\nName the winner and the one argument that decided it."


class Debater:
    def __init__(self, client, motion, side):
        self.client = client
        self.system = DEBATER.format(motion=motion, side=side)
        self.messages = []

    async def argue(self, opponent):
        self.messages.append({"role": "user", "content": opponent or "You have the first word. Please begin."})
        reply = await self.client.messages.create(
            model="claude-sonnet", max_tokens=200, system=self.system, messages=self.messages
        )
        text = reply.content[0].text
        self.messages.append({"role": "assistant", "content": text})
        return text


async def judge(client, motion, transcript):
    reply = await client.messages.create(
        model="claude-opus",
        max_tokens=200,
        system=JUDGE,
        messages=[{"role": "user", "content": f"Motion: {motion}\n\nTranscript of the debate:\n{transcript}"}],
    )
    return reply.content[0].text


async def main(question, docs):
    client = AsyncAnthropic()
    speakers = {"Pro": Debater(client, question, "for"), "Contra": Debater(client, question, "against")}
    transcript, last = [], ""
    for _ in range(2):
        for name, speaker in speakers.items():
            last = await speaker.argue(last)
            transcript.append(f"{name}: {last}")
    verdicts = await asyncio.gather(*(judge(client, question, "\n".join(transcript)) for _ in range(2)))
    return verdicts[0]
