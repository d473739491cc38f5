"""The ways in which a program uses one method of a client: each returns all that the program can see of the answer."""

import warnings


def seen(answer):
    """An answer or an item, as plain values, with its type."""
    if not hasattr(answer, "model_dump"):
        return type(answer), answer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's, about what the recorded provider sent
        return type(answer), answer.model_dump()


# Whole answers


def create(api, asked):
    return seen(api.create(**asked))


def create_generator(api, asked):
    name = "messages" if "messages" in asked else "input"
    return seen(api.create(**{**asked, name: (message for message in asked[name])}))


def raw(api, asked):
    answer = api.with_raw_response.create(**asked)
    same = answer.parse() is answer.parse()
    return type(answer), answer.status_code, answer.http_response.text, seen(answer.parse()), same


def streaming_parse(api, asked):
    with api.with_streaming_response.create(**asked) as answer:
        return type(answer), answer.status_code, seen(answer.parse())


def streaming_bytes(api, asked):
    with api.with_streaming_response.create(**asked) as answer:
        return type(answer), b"".join(answer.iter_bytes())


async def acreate(api, asked):
    return seen(await api.create(**asked))


async def araw(api, asked):
    answer = await api.with_raw_response.create(**asked)
    parsed = answer.parse()
    if hasattr(parsed, "__await__"):
        parsed = await parsed
    return type(answer), answer.status_code, answer.http_response.text, seen(parsed)


async def astreaming_parse(api, asked):
    async with api.with_streaming_response.create(**asked) as answer:
        return type(answer), answer.status_code, seen(await answer.parse())


async def astreaming_bytes(api, asked):
    async with api.with_streaming_response.create(**asked) as answer:
        return type(answer), b"".join([data async for data in answer.iter_bytes()])


# Event streams


def stream(api, asked):
    answer = api.create(**asked, stream=True)
    return type(answer), type(answer.response), [seen(item) for item in answer]


def stream_with(api, asked):
    with api.create(**asked, stream=True) as answer:
        return type(answer), [seen(item) for item in answer]


def stream_next(api, asked):
    answer = api.create(**asked, stream=True)
    return type(answer), seen(next(answer, None)), [seen(item) for item in answer], list(answer)


def stream_partly(api, asked):
    answer = api.create(**asked, stream=True)
    got = [seen(next(answer, None)) for _ in range(2)]
    answer.close()
    return type(answer), got, answer.response.is_closed


def raw_stream(api, asked):
    answer = api.with_raw_response.create(**asked, stream=True)
    parsed = answer.parse()
    return type(answer), type(parsed), parsed is answer.parse(), [seen(item) for item in parsed]


def streaming_stream(api, asked):
    with api.with_streaming_response.create(**asked, stream=True) as answer:
        return type(answer), [seen(item) for item in answer.parse()]


def streaming_lines(api, asked):
    with api.with_streaming_response.create(**asked, stream=True) as answer:
        return type(answer), list(answer.iter_lines())


async def astream(api, asked):
    answer = await api.create(**asked, stream=True)
    return type(answer), type(answer.response), [seen(item) async for item in answer]


async def astream_with(api, asked):
    async with await api.create(**asked, stream=True) as answer:
        return type(answer), [seen(item) async for item in answer]


async def astream_next(api, asked):
    answer = await api.create(**asked, stream=True)
    first = seen(await anext(answer, None))
    rest = [seen(item) async for item in answer]
    await answer.close()
    return type(answer), first, rest


async def astream_partly(api, asked):
    answer = await api.create(**asked, stream=True)
    got = [seen(await anext(answer, None)) for _ in range(2)]
    await answer.close()
    return type(answer), got, answer.response.is_closed


async def araw_stream(api, asked):
    answer = await api.with_raw_response.create(**asked, stream=True)
    parsed = answer.parse()
    if hasattr(parsed, "__await__"):
        parsed = await parsed
    return type(answer), type(parsed), [seen(item) async for item in parsed]


async def astreaming_stream(api, asked):
    async with api.with_streaming_response.create(**asked, stream=True) as answer:
        return type(answer), [seen(item) async for item in await answer.parse()]


async def astreaming_lines(api, asked):
    async with api.with_streaming_response.create(**asked, stream=True) as answer:
        return type(answer), [line async for line in answer.iter_lines()]


# Stream helpers


def _final(answer):
    return next(
        read
        for name in ("get_final_completion", "get_final_response", "get_final_message")
        if (read := getattr(answer, name, None)) is not None
    )


def helper(api, asked):
    with api.stream(**asked) as answer:
        got = [seen(event) for event in answer]
        return type(answer), got, seen(_final(answer)())


def helper_partly(api, asked):
    with api.stream(**asked) as answer:
        got = [seen(next(answer)) for _ in range(3)]
    return type(answer), got


def helper_final(api, asked):
    with api.stream(**asked) as answer:
        return seen(_final(answer)())


async def ahelper(api, asked):
    async with api.stream(**asked) as answer:
        got = [seen(event) async for event in answer]
        return type(answer), got, seen(await _final(answer)())


async def ahelper_partly(api, asked):
    async with api.stream(**asked) as answer:
        got = [seen(await anext(answer)) for _ in range(3)]
    return type(answer), got


def helper_text(api, asked):
    with api.stream(**asked) as answer:
        return type(answer), list(answer.text_stream)


async def ahelper_text(api, asked):
    async with api.stream(**asked) as answer:
        return type(answer), [text async for text in answer.text_stream]


# Structured output and token counts


def parse(api, asked):
    return seen(api.parse(**asked))


def raw_parse(api, asked):
    answer = api.with_raw_response.parse(**asked)
    return type(answer), seen(answer.parse())


async def aparse(api, asked):
    return seen(await api.parse(**asked))


def count(api, asked):
    return seen(api.count_tokens(**asked))


def raw_count(api, asked):
    answer = api.with_raw_response.count_tokens(**asked)
    return type(answer), seen(answer.parse())


async def acount(api, asked):
    return seen(await api.count_tokens(**asked))


def count_input(api, asked):
    return seen(api.count(**asked))


async def acount_input(api, asked):
    return seen(await api.count(**asked))


WHOLE = (create, raw, streaming_parse, streaming_bytes, acreate, araw, astreaming_parse, astreaming_bytes)
STREAMED = (
    stream,
    stream_with,
    stream_next,
    raw_stream,
    streaming_stream,
    streaming_lines,
    astream,
    astream_with,
    astream_next,
    araw_stream,
    astreaming_stream,
    astreaming_lines,
)
PARTLY = (stream_partly, astream_partly)
