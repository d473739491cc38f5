"""A workflow that loops: a draft is judged and written again until the judge is content."""

from llama_index.core import PromptTemplate
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step
from llama_index.llms.openai_like import OpenAILike

llm = OpenAILike(model="sim", is_chat_model=True, context_window=8000, max_retries=0)
WRITE = PromptTemplate("Write the inscription for a bell given by {giver}. The founder's remarks: {remarks}")
JUDGE = PromptTemplate("As the bell founder, say what this inscription lacks, or CAST IT: {draft}")


class Remarks(Event):
    giver: str
    remarks: str


class Draft(Event):
    giver: str
    draft: str


class Bell(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> Remarks:
        return Remarks(giver=ev.giver, remarks="none so far")

    @step
    async def write(self, ev: Remarks) -> Draft:
        made = await llm.acomplete(WRITE.format(giver=ev.giver, remarks=ev.remarks))
        return Draft(giver=ev.giver, draft=made.text)

    @step
    async def judge(self, ev: Draft) -> Remarks | StopEvent:
        said = await llm.apredict(JUDGE, draft=ev.draft)
        if "CAST IT" in said:
            return StopEvent(result=ev.draft)
        return Remarks(giver=ev.giver, remarks=said)


INPUTS = ("the weavers' guild", "the widow Marten")


async def aprogram(giver):
    return await Bell(timeout=20).run(giver=giver)


def reply(system, said, body):
    if "As the bell founder" in said:
        return "CAST IT." if "year" in said else "There is no date upon this metal yet."
    return "Gratefully hung in this year." if "date" in said else "Gratefully hung."


EDGES = """
Bell.begin#0 -> llm#0
llm#0 -> llm#1
llm#1 -> llm#2
llm#2 -> llm#3
output llm#2
"""
PROMPTS = {"write": "Write the inscription", "judge": "As the bell founder"}
SLOTS = {"Write the": ("giver", "remarks"), "As the": ("draft",)}
