"""Ways in which a program reads an answer, each leaving in ``log`` what it saw, between what the transport did."""

import asyncio
import contextlib
import gc
import threading


def shown(value):
    """All that stands in a value, with its type."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    fields = sorted(getattr(value, "model_fields_set", ()) or ())
    return kind, repr(value), fields, getattr(value, "_request_id", None)


# Whole answers, sync


def create(api, asked, log):
    log(shown(api.create(**asked)))


def raw(api, asked, log):
    answer = api.with_raw_response.create(**asked)
    log(type(answer), answer.status_code, dict(answer.headers), answer.http_response.content, answer.retries_taken)
    log(shown(answer.parse()), answer.parse() is answer.parse(), answer.is_closed)


def raw_unparsed(api, asked, log):
    answer = api.with_raw_response.create(**asked)
    response = answer.http_response
    log(response.is_closed, response.num_bytes_downloaded, response.encoding)
    response.encoding = "latin-1"  # refused once somebody has read the text
    log(response.text)
    del answer, response
    gc.collect()


def streaming_parse(api, asked, log):
    with api.with_streaming_response.create(**asked) as answer:
        log(type(answer), shown(answer.parse()))
    log(answer.is_closed)


def streaming_bytes(api, asked, log):
    with api.with_streaming_response.create(**asked) as answer:
        for data in answer.iter_bytes(7):
            log(data)
    log(answer.is_closed)


def streaming_text(api, asked, log):
    with api.with_streaming_response.create(**asked) as answer:
        for line in answer.iter_text():
            log(line)


def streaming_read(api, asked, log):
    with api.with_streaming_response.create(**asked) as answer:
        log(answer.read(), answer.text(), answer.http_response.is_stream_consumed)


def streaming_partly(api, asked, log):
    with api.with_streaming_response.create(**asked) as answer:
        log(next(iter(answer.iter_bytes()), None))
    log(answer.is_closed, answer.http_response.is_stream_consumed)


def streaming_unread(api, asked, log):
    with api.with_streaming_response.create(**asked) as answer:
        log(dict(answer.headers))
    log(answer.is_closed)


def generator(api, asked, log):
    name = "messages" if "messages" in asked else "input" if "input" in asked else "prompt"
    if not isinstance(asked[name], list):
        return create(api, asked, log)

    def drawn():
        for item in asked[name]:
            log("drawn")
            yield item

    given = drawn()
    log(shown(api.create(**{**asked, name: given})), given.gi_frame is None)
    return None


def posted(api, asked, log):
    """With a body and a cast of the program's own."""
    path = {"Embeddings": "/embeddings", "Responses": "/responses"}.get(type(api).__name__)
    if path is None:
        path = "/v1/messages" if type(api).__name__ == "Messages" else "/chat/completions"
    body = {name: value for name, value in asked.items() if not name.startswith("extra") and name != "timeout"}
    log(shown(api._client.post(path, body=body, cast_to=object)))


# Events, sync


def stream(api, asked, log):
    answer = api.create(**asked, stream=True)
    log(type(answer), type(answer.response), type(answer.response.stream).__name__, dict(answer.response.headers))
    for item in answer:
        log(shown(item))
    log(answer.response.is_closed, next(answer, "no more"), list(answer))


def stream_with(api, asked, log):
    answer = api.create(**asked, stream=True)
    with answer as entered:
        log(entered is answer)
        for item in entered:
            log(shown(item))
    log(answer.response.is_closed)


def stream_next(api, asked, log):
    answer = api.create(**asked, stream=True)
    log(iter(answer) is answer, shown(next(answer, None)))
    for item in answer:
        log(shown(item))


def stream_partly(api, asked, log):
    answer = api.create(**asked, stream=True)
    for _ in range(2):
        log(shown(next(answer, None)))
    answer.close()
    log(answer.response.is_closed)
    answer.close()
    log(shown(next(answer, None)))


def stream_dropped(api, asked, log):
    answer = api.create(**asked, stream=True)
    log(shown(next(answer, None)))
    del answer
    gc.collect()
    log("dropped")


def stream_broken(api, asked, log):
    with contextlib.suppress(KeyError), api.create(**asked, stream=True) as answer:
        for item in answer:
            log(shown(item))
            raise KeyError("the program's own")
    log(answer.response.is_closed)


def stream_generator(api, asked, log):
    """Through a generator of the program's, left early."""

    def words():
        with api.create(**asked, stream=True) as answer:
            try:
                yield from answer
            finally:
                log("finally")

    made = words()
    log(shown(next(made, None)))
    made.close()


def stream_thread(api, asked, log):
    answer, failed = api.create(**asked, stream=True), []

    def read():
        try:
            for item in answer:
                log(shown(item))
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    if failed:
        log("raised", type(failed[0]), str(failed[0]))


def stream_body(api, asked, log):
    """Past the client: the lines of the HTTP response below the stream."""
    answer = api.create(**asked, stream=True)
    for line in answer.response.iter_lines():
        log(line)


def raw_stream(api, asked, log):
    answer = api.with_raw_response.create(**asked, stream=True)
    parsed = answer.parse()
    log(type(answer), type(parsed), parsed is answer.parse())
    for item in parsed:
        log(shown(item))


def streaming_stream(api, asked, log):
    with api.with_streaming_response.create(**asked, stream=True) as answer:
        for item in answer.parse():
            log(shown(item))


def streaming_lines(api, asked, log):
    with api.with_streaming_response.create(**asked, stream=True) as answer:
        for line in answer.iter_lines():
            log(line)


def _final(answer):
    names = ("get_final_completion", "get_final_response", "get_final_message")
    return next(read for name in names if (read := getattr(answer, name, None)) is not None)


def helper(api, asked, log):
    with api.stream(**asked) as answer:
        log(type(answer))
        for event in answer:
            log(shown(event))
        log(shown(_final(answer)()))


def helper_final(api, asked, log):
    with api.stream(**asked) as answer:
        log(shown(_final(answer)()))


def helper_partly(api, asked, log):
    with api.stream(**asked) as answer:
        for _ in range(3):
            log(shown(next(answer, None)))
    log(answer._response.is_closed if hasattr(answer, "_response") else None)


def helper_dropped(api, asked, log):
    manager = api.stream(**asked)
    answer = manager.__enter__()
    log(shown(next(answer, None)))
    del answer, manager
    gc.collect()


def parse(api, asked, log):
    log(shown(api.parse(**asked)))


# Async


async def acreate(api, asked, log):
    log(shown(await api.create(**asked)))


async def atask(api, asked, log):
    one, two = await asyncio.gather(api.create(**asked), asyncio.sleep(0))
    log(shown(one), two)


async def araw(api, asked, log):
    answer = await api.with_raw_response.create(**asked)
    parsed = answer.parse()
    if hasattr(parsed, "__await__"):
        parsed = await parsed
    log(type(answer), answer.status_code, answer.http_response.content, shown(parsed))


async def astreaming_parse(api, asked, log):
    async with api.with_streaming_response.create(**asked) as answer:
        log(type(answer), shown(await answer.parse()))


async def astreaming_bytes(api, asked, log):
    async with api.with_streaming_response.create(**asked) as answer:
        async for data in answer.iter_bytes():
            log(data)


async def acancelled(api, asked, log):
    task = asyncio.ensure_future(api.create(**asked))
    for _ in range(4):  # into the request
        await asyncio.sleep(0)
    task.cancel()
    try:
        log(shown(await task))
    except asyncio.CancelledError as error:
        log("cancelled", error.args)


async def aparse(api, asked, log):
    log(shown(await api.parse(**asked)))


async def astream(api, asked, log):
    answer = await api.create(**asked, stream=True)
    log(type(answer), type(answer.response))
    async for item in answer:
        log(shown(item))
    log(answer.response.is_closed, await anext(answer, "no more"))


async def astream_with(api, asked, log):
    answer = await api.create(**asked, stream=True)
    async with answer as entered:
        log(entered is answer)
        async for item in entered:
            log(shown(item))
    log(answer.response.is_closed)


async def astream_partly(api, asked, log):
    answer = await api.create(**asked, stream=True)
    for _ in range(2):
        log(shown(await anext(answer, None)))
    await answer.close()
    log(answer.response.is_closed)


async def astream_dropped(api, asked, log):
    answer = await api.create(**asked, stream=True)
    log(shown(await anext(answer, None)))
    del answer
    gc.collect()
    for _ in range(3):
        await asyncio.sleep(0)
    log("dropped")


async def astream_cancelled(api, asked, log):
    answer = await api.create(**asked, stream=True)

    async def read():
        async for item in answer:
            log(shown(item))
            await asyncio.sleep(60)

    task = asyncio.ensure_future(read())
    for _ in range(400):  # until it waits for a minute, or is over
        await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        log("cancelled")
    await answer.close()
    log(answer.response.is_closed)


async def araw_stream(api, asked, log):
    answer = await api.with_raw_response.create(**asked, stream=True)
    parsed = answer.parse()
    if hasattr(parsed, "__await__"):
        parsed = await parsed
    async for item in parsed:
        log(shown(item))


async def astreaming_lines(api, asked, log):
    async with api.with_streaming_response.create(**asked, stream=True) as answer:
        async for line in answer.iter_lines():
            log(line)


async def ahelper(api, asked, log):
    async with api.stream(**asked) as answer:
        async for event in answer:
            log(shown(event))
        log(shown(await _final(answer)()))


async def ahelper_partly(api, asked, log):
    async with api.stream(**asked) as answer:
        for _ in range(3):
            log(shown(await anext(answer, None)))


WHOLE = (create, raw, streaming_parse, streaming_read, generator, acreate, araw, astreaming_parse, atask, posted)
WHOLE_BYTES = (
    raw_unparsed,
    streaming_bytes,
    streaming_text,
    streaming_partly,
    streaming_unread,
    astreaming_bytes,
    acancelled,
)
EVENTS = (
    stream,
    stream_with,
    stream_next,
    stream_thread,
    raw_stream,
    streaming_stream,
    astream,
    astream_with,
    araw_stream,
)
EVENTS_BYTES = (stream_body, streaming_lines, astreaming_lines)
EVENTS_PARTLY = (
    stream_partly,
    stream_dropped,
    stream_broken,
    stream_generator,
    astream_partly,
    astream_dropped,
    astream_cancelled,
)
HELPERS = (helper, helper_final, ahelper)
HELPERS_PARTLY = (helper_partly, helper_dropped, ahelper_partly)
PARSING = (parse, aparse)
READ_WHOLE = {
    *WHOLE,
    *EVENTS,
    *EVENTS_BYTES,
    *HELPERS,
    streaming_bytes,
    streaming_text,
    astreaming_bytes,
    raw_unparsed,
} - {stream_body}
"""After these the record must hold all that the provider said."""
