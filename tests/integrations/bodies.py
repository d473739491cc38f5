"""Hand-made bodies in the wire format of the provider."""

USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 7,
    "total_tokens": 19,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
TEXT = "There are seven animals: four cats and three dogs."
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"place": "barn"}'}}


def chat(content=TEXT, finish_reason="stop", tool_calls=None, **more):
    message = {"role": "assistant", "content": content, "refusal": None}
    if tool_calls:
        message["tool_calls"] = tool_calls
    choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "sim-2026"}
    return {**head, "choices": [choice], "usage": USAGE, **more}


def chunk(delta=None, finish_reason=None, **more):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "sim-2026"}
    return {**head, "choices": choices, **more}


def chat_chunks(pieces=("There ", "are ", "seven."), finish_reason="stop", usage=True):
    found = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": piece}) for piece in pieces)]
    if finish_reason:
        found.append(chunk({}, finish_reason))
    return [*found, chunk(usage=USAGE)] if usage and finish_reason else found


def tool_chunks():
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
    return [
        chunk({"role": "assistant", "content": None, "tool_calls": [first]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"place": '}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"barn"}'}}]}),
        chunk({}, "tool_calls"),
    ]


def spoken(text="There are seven."):
    """An answer in sound, with its transcript."""
    found = chat(None)
    found["choices"][0]["message"]["audio"] = {"id": "audio_1", "data": "UklGRg==", "expires_at": 1, "transcript": text}
    return found


def spoken_chunks(pieces=("There ", "are ", "seven.")):
    begun = [
        chunk({"role": "assistant", "audio": {"id": "audio_1", "transcript": ""}}),
        chunk({"audio": {"data": "Ukl"}}),
    ]
    said = [chunk({"audio": {"id": "audio_1", "transcript": piece}}) for piece in pieces]
    return [*begun, *said, chunk({}, "stop"), chunk(usage=USAGE)]


def response(text=TEXT, status="completed", calls=()):
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "sim-2026",
        "output": [message, *calls],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 12,
            "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 19,
        },
    }


FUNCTION_CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "look",
    "arguments": '{"place": "barn"}',
    "status": "completed",
}


def response_events(pieces=("There ", "are ", "seven."), is_whole=True):
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    text = "".join(pieces)
    found = [
        {"type": "response.created", "response": {**response(status="in_progress"), "output": [], "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **at, "part": part},
        *({"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []} for piece in pieces),
    ]
    if is_whole:
        found += [
            {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
            {"type": "response.completed", "response": response(text)},
        ]
    return [{"sequence_number": number, **event} for number, event in enumerate(found)]
