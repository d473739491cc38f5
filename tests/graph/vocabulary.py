"""Words and sentences for generated programs: common words, rare words, stock phrases, labels."""

from __future__ import annotations

COMMON = """the of and to in is that it was for on are as with his they be at one have this from or had by hot but some what
there we can out other were all your when up use word how said an each she which do their time if will way about many then them
would write like so these her long make thing see him two has look more day could go come did my sound no most number who over
know water than call first people may down side been now find any new work part take get place made live where after back little
only round man year came show every good me give our under name very through just form much great think say help low line before
turn cause same mean differ move right boy old too does tell sentence set three want air well also play small end put home read
hand port large spell add even land here must big high such follow act why ask men change went light kind off need house picture
try us again animal point mother world near build self earth father""".split()
STEMS = """ab ber cal dor el fen gar hol in jor kel lum mar nor ol per quin ros sel tam ul ver wil yor zan bri cla dre flo gri
pla sta tre vor wen mon lan ret sim tor""".split()
ENDINGS = "on er ia ing ed al ic um is or an ent ous ite age el ow ay en ist".split()
CITIES = "Paris Rome Oslo Lima Cairo Delhi Quito Minsk Tunis Hanoi".split() + ["New York", "San Jose", "Cape Town"]
LABELS = [
    "Yes",
    "No",
    "HUM",
    "LOC",
    "NUM",
    "ENTY",
    "positive",
    "negative",
    "neutral",
    "billing",
    "refund",
    "True",
    "False",
    "low",
    "high",
    "A",
    "B",
    "C",
    "unknown",
    "not relevant",
]
OPENINGS = [
    "",
    "",
    "",
    "Based on the context, ",
    "The answer is that ",
    "According to the document, ",
    "In short, ",
    "I think that ",
    "Sure! Here is what I found: ",
    "Let me think step by step. ",
]
TEMPLATES = [
    "Answer the question using only the context below.\nContext:\n{a}\nQuestion: {b}\nAnswer:",
    "You are a careful assistant. Read the text and reply in one sentence.\n\nText: {a}\n\nNotes: {b}",
    "Summarize the following for a busy reader.\n---\n{a}\n---\nFocus: {b}",
    "Write a search query for this question: {b}\nWhat is known so far:\n{a}\nQuery:",
    "# Task\nCompare and merge.\n# Input\n{a}\n# Other\n{b}\n# Output",
    "Given the passages, list the key facts as bullet points.\n{a}\n\nThe user asked: {b}",
]
SHORT_TEMPLATES = [
    "Classify the text. Reply with one word: {options}.\nText: {a}\nLabel:",
    "Is the statement supported? Answer Yes or No.\nStatement: {a}\nEvidence: {b}",
    "How many items are in the list? Reply with a number.\n{a}",
]
SINGLE = [
    "You are a helpful assistant that answers briefly and cites its sources.",
    "Think step by step. Then write the answer on the last line as Answer: VALUE.",
    "You write short search queries. Never use more than ten words.",
    "Rewrite the draft so that it is clear, correct and polite.",
]

PLAIN = [
    "Act as an expert reviewer. Keep to the facts that are given and be short.",
    "Reply in plain English, with no more than three sentences.",
    "Use the notes of the user to write what was asked for.",
]


def word(rng):
    return rng.choice(COMMON) if rng.random() < 0.55 else rng.choice(STEMS) + rng.choice(STEMS) + rng.choice(ENDINGS)


def sentence(rng, low=6, high=16):
    words = [word(rng) for _ in range(rng.randint(low, high))]
    if rng.random() < 0.3:
        words[rng.randrange(len(words))] = rng.choice(CITIES)
    if rng.random() < 0.15:
        words[rng.randrange(len(words))] = str(rng.randint(2, 2000))
    text = " ".join(words)
    if len(words) > 8 and rng.random() < 0.4:
        text = text.replace(" ", ", ", 1) if rng.random() < 0.3 else text
    return text[0].upper() + text[1:] + rng.choice([".", ".", ".", "!", "?"])


def paragraph(rng, low=1, high=4):
    return rng.choice(OPENINGS) + " ".join(sentence(rng) for _ in range(rng.randint(low, high)))
