"""Hand-made bodies in anthropic's wire format."""

import json

from tests.integrations.loopback import Answer

TEXT = "There are seven animals: four cats and three dogs."
USAGE = {
    "input_tokens": 7,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 3,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 2},
    "service_tier": "standard",
}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"place": "barn"}}
COUNT = {"input_tokens": 12}


def message(text=TEXT, stop_reason="end_turn", blocks=(), **more):
    content = [*([{"type": "text", "text": text, "citations": None}] if text is not None else []), *blocks]
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "sim-2026"}
    return {**head, "content": content, "stop_reason": stop_reason, "stop_sequence": None, "usage": USAGE, **more}


def message_events(pieces=("There ", "are ", "seven."), stop_reason="end_turn", calls=()):
    begun = {**message(None, None), "usage": {**USAGE, "output_tokens": 1}}
    found = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    blocks = (
        [({"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces])] if pieces else []
    )
    for call in calls:
        text = json.dumps(call["input"])
        parts = [{"type": "input_json_delta", "partial_json": part} for part in ("", text[:7], text[7:])]
        blocks.append(({**call, "input": {}}, parts))
    for index, (block, deltas) in enumerate(blocks):
        found.append({"type": "content_block_start", "index": index, "content_block": block})
        found += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        found.append({"type": "content_block_stop", "index": index})
    if stop_reason:
        delta = {"stop_reason": stop_reason, "stop_sequence": None}
        usage = {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 2}}
        found += [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]
    return found


def amazon(bodies):
    """The events in Amazon's framing, as Bedrock sends them."""
    import base64
    import binascii

    def framed(body):
        payload = json.dumps({"bytes": base64.b64encode(json.dumps(body).encode()).decode()}).encode()
        fields = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
        headers = b"".join(
            bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode()
            for name, value in fields.items()
        )
        prelude = (16 + len(headers) + len(payload)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
        start = prelude + binascii.crc32(prelude).to_bytes(4, "big") + headers + payload
        return start + binascii.crc32(start).to_bytes(4, "big")

    headers = {"content-type": "application/vnd.amazon.eventstream"}
    return Answer([framed(body) for body in bodies], 200, headers)
