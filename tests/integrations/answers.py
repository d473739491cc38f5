"""Random answers of a provider, whole or as events: (body or events, counted tokens, whether there is one choice)."""

import json

WORDS = [
    "seven",
    "Käse",
    "naïve",
    "動物",
    "🐈‍⬛",
    "\u2028",
    "a\tb",
    "",
    " ",
    "\n\n",
    "data: x",
    "{",
    "x" * 300,
    "ß",
    "0",
    "null",
]


def some(rng, most=4):
    return "".join(rng.choice(WORDS) + rng.choice(["", " "]) for _ in range(rng.randrange(most)))


def maybe(rng, **fields):
    return {name: value for name, value in fields.items() if rng.random() < 0.4}


def arguments(rng):
    return json.dumps(
        {rng.choice(["place", "n"]): rng.choice([some(rng), 3, None, ["a"]])}, ensure_ascii=rng.random() < 0.5
    )


def _counts(rng):
    return rng.randrange(99), rng.randrange(99)


def _chat_usage(rng, counts):
    details = maybe(rng, prompt_tokens_details={"cached_tokens": 3}, completion_tokens_details={"reasoning_tokens": 1})
    return {"prompt_tokens": counts[0], "completion_tokens": counts[1], "total_tokens": sum(counts), **details}


def chat(rng, text):
    choices = []
    for index in range(rng.choice([1, 1, 1, 2, 3])):
        message = {"role": "assistant", "content": text if index == 0 else some(rng)}
        message |= maybe(
            rng,
            refusal=some(rng),
            annotations=[],
            reasoning_content=some(rng),
            audio={"id": "a", "data": "AAAA", "expires_at": 1, "transcript": "x"},
        )
        if rng.random() < 0.3:
            function = {"id": "c", "type": "function", "function": {"name": "look", "arguments": arguments(rng)}}
            message["tool_calls"] = [
                function,
                {"id": "d", "type": "custom", "custom": {"name": "say", "input": some(rng)}},
            ]
        message |= {"function_call": {"name": "old", "arguments": "{}"}} if rng.random() < 0.1 else {}
        reason = rng.choice(["stop", "length", "tool_calls", "content_filter", "eos"])
        logs = {"content": [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}], "refusal": None}
        choices.append(
            {"index": index, "message": message, "finish_reason": reason, "logprobs": rng.choice([None, logs])}
        )
    counts = _counts(rng)
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "sim-2026", "choices": choices}
    return (
        {**head, "usage": _chat_usage(rng, counts), **maybe(rng, service_tier="default", provider="x")},
        counts,
        len(choices) == 1,
    )


def pieces(rng, text):
    """A text in parts, some of them empty."""
    cuts = sorted(rng.randrange(len(text) + 1) for _ in range(rng.randrange(5)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)])]


def chat_events(rng, text):
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "sim-2026",
        **maybe(rng, system_fingerprint="f"),
    }
    lanes = []
    for index in range(rng.choice([1, 1, 1, 2, 3])):
        own = [{"role": "assistant", "content": ""}] if rng.random() < 0.8 else []
        own += [{"content": piece} for piece in pieces(rng, text if index == 0 else some(rng))]
        if rng.random() < 0.3:
            own.append({"refusal": "no"})
            own.append({"reasoning_content": "hm"})
        if rng.random() < 0.3:
            lines = [iter(pieces(rng, arguments(rng))) for _ in range(2)]
            for at in range(2):
                function = {
                    "index": at,
                    "id": f"c{at}",
                    "type": "function",
                    "function": {"name": "look", "arguments": ""},
                }
                own.append({"tool_calls": [function]})
            for _ in range(12):
                at = rng.randrange(2)
                if (piece := next(lines[at], None)) is not None:
                    own.append({"tool_calls": [{"index": at, "function": {"arguments": piece}}]})
        more = maybe(
            rng,
            logprobs={"content": [{"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []}], "refusal": None},
        )
        lane = [{"index": index, "delta": delta, "finish_reason": None, **more} for delta in own]
        lanes.append(
            [*lane, {"index": index, "delta": {}, "finish_reason": rng.choice(["stop", "length", "tool_calls"])}]
        )
    count, found = len(lanes), []
    while lanes:  # the choices take turns
        lane = rng.choice(lanes)
        found.append({**head, "choices": [lane.pop(0)]})
        lanes = [each for each in lanes if each]
    counts = _counts(rng)
    found.append({**head, "choices": [], "usage": _chat_usage(rng, counts)})
    if rng.random() < 0.3:
        found.insert(rng.randrange(len(found)), {**head, "choices": [], "usage": None})
    return found, counts, count == 1


def response(rng, text, status="completed"):
    part = {"type": "output_text", "text": text, "annotations": [], **maybe(rng, logprobs=[])}
    message = {"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": [part]}
    others = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {
            "type": "function_call",
            "id": "fc",
            "call_id": "c",
            "name": "look",
            "arguments": arguments(rng),
            "status": status,
        },
        {"type": "custom_tool_call", "id": "cc", "call_id": "d", "name": "say", "input": some(rng)},
        {"type": "web_search_call", "id": "ws", "status": status, "action": {"type": "search", "query": "x"}},
        {"type": "brand_new_call", "id": "n", "stuff": [1]},
        {
            "type": "message",
            "id": "m2",
            "role": "assistant",
            "status": status,
            "content": [{"type": "refusal", "refusal": "no"}],
        },
    ]
    counts = _counts(rng)
    usage = {"input_tokens": counts[0], "output_tokens": counts[1], "total_tokens": sum(counts)}
    usage |= {"input_tokens_details": {"cached_tokens": 3}, "output_tokens_details": {"reasoning_tokens": 1}}
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "sim-2026", "status": status}
    rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None, "incomplete_details": None}
    return {**head, **rest, "output": [*rng.sample(others, rng.randrange(3)), message], "usage": usage}, counts, True


def response_events(rng, text):
    final, counts, _ = response(rng, text)
    last = len(final["output"]) - 1
    at = {"item_id": "msg_1", "output_index": last, "content_index": 0}
    begun = {**final, "status": "in_progress", "output": [], "usage": None}
    found = [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]
    for index, item in enumerate(final["output"]):
        found.append(
            {
                "type": "response.output_item.added",
                "output_index": index,
                "item": {**item, **({"content": []} if "content" in item else {})},
            }
        )
        if item["type"] == "function_call":
            found += [
                {
                    "type": "response.function_call_arguments.delta",
                    "item_id": "fc",
                    "output_index": index,
                    "delta": piece,
                }
                for piece in pieces(rng, item["arguments"])
            ]
        if index == last:
            found.append(
                {
                    "type": "response.content_part.added",
                    **at,
                    "part": {"type": "output_text", "text": "", "annotations": []},
                }
            )
            found += [
                {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
                for piece in pieces(rng, text)
            ]
            found.append({"type": "response.output_text.done", **at, "text": text, "logprobs": []})
        found.append({"type": "response.output_item.done", "output_index": index, "item": item})
    found.append({"type": "response.completed", "response": final})
    return [{"sequence_number": number, **event} for number, event in enumerate(found)], counts, True


def _legacy(choices, usage):
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "sim-2026",
        "choices": choices,
        "usage": usage,
    }


def completion(rng, text):
    counts = _counts(rng)
    choice = {"index": 0, "text": text, "finish_reason": rng.choice(["stop", "length"]), "logprobs": None}
    return _legacy([choice], _chat_usage(rng, counts)), counts, True


def completion_events(rng, text):
    counts, parts = _counts(rng), pieces(rng, text)
    found = [_legacy([{"index": 0, "text": piece, "finish_reason": None, "logprobs": None}], None) for piece in parts]
    return (
        [
            *found,
            _legacy([{"index": 0, "text": "", "finish_reason": "stop", "logprobs": None}], _chat_usage(rng, counts)),
        ],
        counts,
        True,
    )


def embedding(rng, _):
    counts = rng.randrange(99), None
    rows = [
        {"object": "embedding", "index": index, "embedding": [0.5, rng.random()]}
        for index in range(rng.randrange(1, 3))
    ]
    return (
        {
            "object": "list",
            "model": "sim-2026",
            "data": rows,
            "usage": {"prompt_tokens": counts[0], "total_tokens": counts[0]},
        },
        counts,
        False,
    )


def blocks(rng, text):
    cited = [
        {
            "type": "char_location",
            "cited_text": "x",
            "document_index": 0,
            "document_title": None,
            "start_char_index": 0,
            "end_char_index": 1,
        }
    ]
    found = [{"type": "text", "text": text, "citations": rng.choice([None, cited])}]
    others = [
        {"type": "thinking", "thinking": some(rng), "signature": "sig"},
        {"type": "redacted_thinking", "data": "AAAA"},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": json.loads(arguments(rng))},
        {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []},
        {"type": "brand_new_block", "stuff": {"a": 1}},
    ]
    return [*rng.sample(others, rng.randrange(4)), *found]


def _message(rng, content, counts):
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "sim-2026", "stop_sequence": None}
    usage = {"input_tokens": counts[0], "output_tokens": counts[1], **maybe(rng, service_tier="standard")}
    reason = rng.choice(["end_turn", "max_tokens", "tool_use", "refusal", "pause_turn"])
    return {**head, "content": content, "stop_reason": reason, "usage": usage, **maybe(rng, container=None)}


def message(rng, text):
    counts = _counts(rng)
    return _message(rng, blocks(rng, text), counts), counts, True


def message_events(rng, text):
    counts, content = _counts(rng), blocks(rng, text)
    whole = _message(rng, content, counts)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": counts[0], "output_tokens": 1}}
    found = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(content):
        start, deltas = dict(block), []
        if block["type"] == "text":
            start = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(rng, block["text"])]
            deltas += [{"type": "citations_delta", "citation": cited} for cited in block["citations"] or ()]
        elif block["type"] == "thinking":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(rng, block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": "sig"})
        elif block["type"] in ("tool_use", "server_tool_use"):
            start = {**block, "input": {}}
            deltas = [
                {"type": "input_json_delta", "partial_json": piece} for piece in pieces(rng, json.dumps(block["input"]))
            ]
        found.append({"type": "content_block_start", "index": index, "content_block": start})
        found += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        found.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    found.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": counts[1]}})
    found.append({"type": "message_stop"})
    for _ in range(rng.randrange(3)):
        found.insert(rng.randrange(1, len(found) + 1), {"type": "ping"})
    return found, counts, True


WHOLE = {
    "chat.completions": chat,
    "responses": response,
    "completions": completion,
    "embeddings": embedding,
    "messages": message,
    "beta.messages": message,
}
EVENTS = {
    "chat.completions": chat_events,
    "responses": response_events,
    "completions": completion_events,
    "messages": message_events,
    "beta.messages": message_events,
}
