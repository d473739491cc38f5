"""What a scripted model answers to each undecorated program, and which step of the program each request belongs to."""

from typing import NamedTuple


class Step(NamedTuple):
    """A step: its requests have this phrase in a prompt; the replies come in turn, the last one again and again.

    ``~3`` stands for three words of data, ``@name {...}`` for a call of a tool.
    """

    name: str
    phrase: str
    replies: tuple[str, ...] = ("~6",)


class World(NamedTuple):
    steps: tuple[Step, ...]
    generated: str = ""
    """Pattern of what the program generates in its prompts, such as a schema: no prompt of anybody's."""


def world(*steps, generated=""):
    return World(tuple(Step(name, phrase, tuple(replies) or ("~6",)) for name, phrase, *replies in steps), generated)


TASKS = (
    "<analysis>~5</analysis>\n<tasks>\n<task><type>~1</type><description>~5</description></task>\n"
    "<task><type>~1</type><description>~4</description></task>\n</tasks>"
)

WORLDS = {
    "handoffs": world(
        ("triage", "first to greet a customer", "@transfer_to_refunds {}"),
        ("refunds", "refunds desk of an online shop", '@look_up_order {"order_id": "~1"}', "~7"),
        ("repairs", "You run the workshop", "~5"),
    ),
    "plan_execute": world(
        ("plan", "break a goal down", '{"steps": ["~3", "~4", "~2"]}'),
        ("execute", "carry out one step", "~5", "~4\n~3"),
        ("conclude", "Write the final answer for them"),
    ),
    "evaluator_optimizer": world(
        ("generate", "asks for. If there is feedback", "<thoughts>~4</thoughts>\n<response>~6\n~3</response>"),
        (
            "evaluate",
            "Judge the following text",
            "<evaluation>FAIL</evaluation><feedback>~4</feedback>",
            "<evaluation>NEEDS_IMPROVEMENT</evaluation><feedback>~3</feedback>",
            "<evaluation>PASS</evaluation>",
        ),
    ),
    "orchestrator_workers": world(
        ("orchestrate", "different ways to approach it", TASKS),
        ("work", "Write a text for this task", "<response>~5</response>"),
    ),
    "routing": world(
        (
            "select",
            "choose the team from these options",
            "<reasoning>~3</reasoning><selection>\nbilling\n</selection>",
            "<reasoning>~3</reasoning><selection>technical</selection>",
            "<reasoning>~3</reasoning><selection>account</selection>",
        ),
        ("billing", "billing support specialist"),
        ("technical", "engineer in technical support"),
        ("account", "look after the safety of accounts"),
        generated=r"\['billing', 'technical', 'account'\]",
    ),
    "parallel_voting": world(("vote", "Act as a careful reviewer", "yes"), ("explain", "Reviewers found")),
    "refine_engine": world(("answer", "Given only the context"), ("refine", "Improve it, only where", "~8\n\n~2")),
    "citation_engine": world(
        ("answer", "Answer the question from the sources"),
        ("check", "You check citations", '{"supported": true, "why": "~4"}'),
    ),
    "tool_agent": world(
        (
            "chat",
            "Don't make assumptions",
            '@get_current_weather {"location": "~2", "format": "celsius"}',
            '@get_n_day_forecast {"location": "~2", "num_days": 3}',
            "~6",
        )
    ),
    "react_text": world(("react", "You run in a loop", "Thought: ~4\nAction: search: ~2\n", "~3\nAnswer: ~3")),
    "streaming_chat": world(("say", "Captain Byte")),
    "responses_research": world(("gather", "Search your notes"), ("report", "Write reports in a")),
    "claude_blocks": world(("ask", "You are a literary scholar")),
    "claude_extract": world(
        ("summarize", "Summarize the article"), ("extract", "print_entities tool", '@print_entities {"entities": []}')
    ),
    "legacy_complete": world(
        ("classify", "Decide whether a tweet"), ("title", "Propose a title"), ("keywords", "Which three keywords")
    ),
    "prompt_files": world(("triage", "You sort the mail"), ("reply", "Write a reply to the letter")),
    "jinja_tutor": world(("tutor", "You are a tutor"), ("grade", "You grade answers")),
    "desk_main": world(
        ("classify", "Say in one word what"), ("draft", "Draft an answer"), ("translate", "Translate the text between")
    ),
    "crew_config": world(
        ("manage", "You manage a crew"),
        ("research", "Uncover what is new"),
        ("write", "Writer of reports"),
    ),
    "few_shot": world(("label", "You label complaints"), ("reword", "Rewrite error messages")),
    "conditional_parts": world(("advise", "assistant of a travel agency")),
    "newsroom": world(
        ("report", "You are Rita"),
        ("edit", "You are Edgar", '{"headline": "~3", "text": "~6"}'),
        ("judge", "You are Carla"),
    ),
    "debate": world(("argue", "You take part in a debate"), ("judge", "You judge debates")),
    "map_reduce": world(
        ("map", "one part of a long document"), ("reduce", "These are lists of themes"), ("guess", "Guess the author")
    ),
    "docstring_prompts": world(("translate", "Translate the text into"), ("rate", "Rate this translation")),
    "structured": world(
        ("solve", "helpful math tutor", '{"steps": [{"explanation": "~3", "output": "~2"}], "final_answer": "~2"}'),
        ("check", "Check the solution", '{"is_right": true, "comment": "~4"}'),
        generated=r"(?s)\{\n  \"description\".*\}|\"\w+\":",
    ),
    "memory_chat": world(("reply", "companion for an old sailor"), ("summarize", "Progressively summarize")),
    "notebook_script": world(
        ("explain", "explains articles to busy people"),
        ("densify", "denser summaries"),
        ("ask", "If it can't be known"),
    ),
    "sql_agent": world(
        ("generate", "convert a question into a SQL query", "~4!", "~5!", "~4"),
        ("word", "put query results into words"),
    ),
    "guardrails": world(
        ("answer", "knows all about house pets"),
        ("guard", "Your role is to assess", "allowed"),
        ("moderate", "You are a moderation assistant", "2"),
    ),
    "rubric_judge": world(("judge", "You compare the answers")),
    "agents_sdk_like": world(
        (
            "orchestrate",
            "You are a translation agent",
            '@translate_to_spanish {"input": "~3"}',
            '@translate_to_french {"input": "~3"}',
            "~5",
        ),
        ("spanish", "translate the user's message to Spanish"),
        ("french", "translate the user's message to French"),
        ("synthesize", "You inspect translations"),
    ),
    "recipes_rag": world(
        ("rewrite", "search queries, one a line", "~3\n~2\n~4"), ("answer", "You are a cook who answers")
    ),
    "smol_code_agent": world(
        ("act", "solve tasks by writing short programs", "~5", "~4"),
        ("conclude", "Read its memory and answer in its place"),
    ),
    "xml_variables": world(
        ("triage", "Decide which department has to read it", "~3</scratchpad><department>~1</department>"),
        ("reply", "Thank the writer in your first sentence"),
    ),
    "base_class_agents": world(
        ("label", "Write the label that hangs beside an object"),
        ("child", "The reader is seven years old"),
        ("guide", "Say where to turn, and what to look at first"),
    ),
    "prompt_builder": world(("compare", "You compare offers of craftsmen")),
    "pipeline_lambdas": world(
        ("query", "a query for a catalogue of spare parts"),
        ("pick", "a part that nearly fits does not fit"),
        ("answer", "the voice of the spare parts desk"),
    ),
    "stateful_graph": world(
        ("grade", "says whether a document helps", '{"helps": "no"}'),
        ("rewrite", "what is really meant by it"),
        ("write", "questions about a house and its garden"),
    ),
    "tree_search": world(
        ("propose", "what could be a next step"),
        ("value", "Judge whether a step leads anywhere", "~2 7"),
        ("conclude", "Put the answer to the problem in one sentence"),
    ),
    "support_bot": world(
        ("calm", "never answer in capitals", '@find_order {"number": "~1"}', "~5"),
        ("brisk", "standing at the counter", "~4"),
    ),
    "chinese_tutor": world(("outline", "为下面的主题列出三个要点"), ("lesson", "请用初学者能懂的话")),
    "sectioned_files": world(
        ("sort", "You sort the post of a town hall"), ("answer", "You answer the post of a town hall")
    ),
}
