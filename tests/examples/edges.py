"""The edges of every example, written from its code; the module's name is left out of labels."""

COUNTING = """
TASK#0 -> program:chat#0
output program:chat#0
"""

VANILLA = """
SYSTEM#0 -> program:chat#0
QUESTION#0 -> program:chat#0
output program:chat#0
"""

TWO_QUERIES = """
first_query.system#0 -> ask:chat#0
first_query.user#0 -> ask:chat#0
ask:chat#0 -> search#0
search#0 -> second_query.user#0
second_query.system#0 -> ask:chat#1
second_query.user#0 -> ask:chat#1
ask:chat#1 -> search#1
search#0 -> answer.user#0
search#1 -> answer.user#0
answer.system#0 -> ask:chat#2
answer.user#0 -> ask:chat#2
output ask:chat#2
"""

MULTI_HOP = """
write_query.user#0 -> ask:chat#0
ask:chat#0 -> retrieve#0
retrieve#0 -> write_query.user#1
write_query.user#1 -> ask:chat#1
ask:chat#1 -> retrieve#1
retrieve#0 -> deduplicate#0
retrieve#1 -> deduplicate#0
deduplicate#0 -> program.user#0
program.system#0 -> ask:chat#2
program.user#0 -> ask:chat#2
output ask:chat#2
"""

AGENT = """
SYSTEM#0 -> program:chat#0
SEARCH#0 -> program:chat#0
FINISH#0 -> program:chat#0
program:chat#0 -> search#0
program:chat#0 -> program:chat#1
search#0 -> program:chat#1
SYSTEM#1 -> program:chat#1
SEARCH#1 -> program:chat#1
FINISH#1 -> program:chat#1
program:chat#1 -> search#1
program:chat#0 -> program:chat#2
search#0 -> program:chat#2
program:chat#1 -> program:chat#2
search#1 -> program:chat#2
SYSTEM#2 -> program:chat#2
SEARCH#2 -> program:chat#2
FINISH#2 -> program:chat#2
"""

DECORATED = {
    "object_counting": """
task#0 -> program:chat#0
program:chat#0 -> last_number#0
output last_number#0
""",
    "multi_hop": """
query_prompt#0 -> ask:chat#0
ask:chat#0 -> MultiHop.retrieve#0
MultiHop.retrieve#0 -> query_prompt#1
MultiHop.retrieve#0 -> deduplicate#0
query_prompt#1 -> ask:chat#1
ask:chat#1 -> MultiHop.retrieve#1
MultiHop.retrieve#1 -> deduplicate#0
deduplicate#0 -> answer_prompt#0
answer_prompt#0 -> ask:chat#2
answer_task#0 -> ask:chat#2
ask:chat#2 -> last_line#0
output last_line#0
""",
}

PLAIN = {
    "object_counting_undecorated": COUNTING,
    "trec": COUNTING,
    "vanilla_rag": VANILLA,
    "multi_hop_two_queries": TWO_QUERIES,
    "multi_hop_undecorated": MULTI_HOP,
    "agentic_rag": AGENT.replace("SEARCH", "description").replace("FINISH", "description_2")
    + "output program:chat#2\n",
}

LANGCHAIN_COUNTING = """
system#0 -> program:chat#0
program:chat#0 -> StrOutputParser#0
StrOutputParser#0 -> last_number#0
output last_number#0
"""

LANGCHAIN_MULTI_HOP = """
found_so_far#0 -> QUERY#0
QUERY#0 -> openai.chat#0
openai.chat#0 -> StrOutputParser#0
StrOutputParser#0 -> query_in#0
query_in#0 -> Paragraphs#0
Paragraphs#0 -> found_so_far#1
found_so_far#1 -> QUERY#1
QUERY#1 -> openai.chat#1
openai.chat#1 -> StrOutputParser#1
StrOutputParser#1 -> query_in#1
query_in#1 -> Paragraphs#1
Paragraphs#0 -> passages#0
Paragraphs#1 -> passages#0
passages#0 -> user#0
system#0 -> program:chat#0
user#0 -> program:chat#0
program:chat#0 -> StrOutputParser#2
StrOutputParser#2 -> answer_in#0
output answer_in#0
"""

LANGGRAPH_AGENT = AGENT.replace("SEARCH", "search.docstring").replace("FINISH", "finish.docstring") + (
    "program:chat#2 -> finish#0\noutput finish#0\n"
)

LLAMA_VANILLA = """
Paragraphs.retrieve#0 -> QUESTION#0
QUESTION#0 -> program:chat#0
program:chat#0 -> answer_in#0
Paragraphs.retrieve#0 -> answer_in#0
output answer_in#0
"""
"""A response of LlamaIndex holds the paragraphs that it was made from."""

LLAMA_MULTI_HOP = """
MultiHop.begin#0 -> MultiHop.search#0
MultiHop.begin#0 -> QUERY#0
QUERY#0 -> MultiHop.search:chat#0
MultiHop.search:chat#0 -> Paragraphs.retrieve#0
Paragraphs.retrieve#0 -> MultiHop.search#0
MultiHop.search#0 -> MultiHop.search#1
MultiHop.begin#0 -> QUERY#1
Paragraphs.retrieve#0 -> QUERY#1
QUERY#1 -> MultiHop.search:chat#1
MultiHop.search:chat#1 -> Paragraphs.retrieve#1
Paragraphs.retrieve#1 -> MultiHop.search#1
MultiHop.search#1 -> MultiHop.search#2
MultiHop.begin#0 -> ANSWER#0
Paragraphs.retrieve#0 -> ANSWER#0
Paragraphs.retrieve#1 -> ANSWER#0
ANSWER#0 -> MultiHop.answer:chat#0
MultiHop.answer:chat#0 -> MultiHop.search#2
output MultiHop.search#2
"""
"""Events carry the question, and what was found, from step to step."""

LANGCHAIN = {
    "langchain_object_counting": LANGCHAIN_COUNTING,
    "langchain_multi_hop": LANGCHAIN_MULTI_HOP,
    "langgraph_agentic_rag": LANGGRAPH_AGENT,
}
LLAMA_INDEX = {"llama_index_vanilla_rag": LLAMA_VANILLA, "llama_index_multi_hop": LLAMA_MULTI_HOP}
