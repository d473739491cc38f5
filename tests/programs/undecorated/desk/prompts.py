"""All prompts of the desk."""

from enum import Enum
from string import Template


class Prompt(str, Enum):
    CLASSIFY = "Say in one word what the message is about. Choose from: order, complaint, praise."
    DRAFT = Template("Draft an answer of at most $count words to this $kind:\n\n$message").template
    TRANSLATE = "Translate the text between the lines into ${language}.\n-----\n${text}\n-----"


class Tone:
    FRIENDLY = "Write as a friend would, with short words and no jargon."
    FORMAL = "Write as a lawyer would, with care for every word."


DISCLAIMER = "Add that this message was written by a machine."
