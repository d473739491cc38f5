"""A query engine that answers from the first chunk and refines with each of the next."""

from openai import OpenAI

DEFAULT_QA_TMPL = (
    "Context information is below.\n"
    "---------------------\n"
    "{context_str}\n"
    "---------------------\n"
    "Given only the context and none of your own knowledge, answer the query.\n"
    "Query: {query_str}\n"
    "Answer: "
)
DEFAULT_REFINE_TMPL = (
    "The query that was asked first is: {query_str}\n"
    "There is an answer so far: {existing_answer}\n"
    "Improve it, only where that is needed, with some more context below.\n"
    "------------\n"
    "{context_msg}\n"
    "------------\n"
    "If the context is of no use, return the answer as it was.\n"
    "Refined Answer: "
)


class PromptTemplate:
    def __init__(self, template, **fixed):
        self.template = template
        self.fixed = fixed

    def format(self, **kwargs):
        return self.template.format(**self.fixed, **kwargs)


class RefineEngine:
    def __init__(self, qa=None, refine=None, system=None):
        self.qa = qa or PromptTemplate(DEFAULT_QA_TMPL)
        self.refine = refine or PromptTemplate(DEFAULT_REFINE_TMPL)
        self.system = system
        self.llm = OpenAI().chat.completions

    def complete(self, prompt):
        messages = [{"role": "system", "content": self.system}] if self.system else []
        messages.append({"role": "user", "content": prompt})
        return self.llm.create(model="gpt-4o-mini", messages=messages, temperature=0.0).choices[0].message.content

    def query(self, query_str, chunks):
        response = None
        for chunk in chunks:
            if response is None:
                prompt = self.qa.format(context_str=chunk, query_str=query_str)
            else:
                prompt = self.refine.format(query_str=query_str, existing_answer=response, context_msg=chunk)
            response = self.complete(prompt)
        return response


def main(question, docs):
    engine = RefineEngine(system="You are an expert of the archive who never guesses. Some rules: quote no names.")
    return engine.query(question, docs)
