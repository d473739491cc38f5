"""What a program may do with a client beyond asking it: copies, pickles, subclasses, hooks, transports of its own."""

import copy
import gc
import importlib
import inspect
import pickle
import sys
import warnings
import weakref

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.integrations import bodies
from tests.integrations.loopback import Loopback, as_json, events, named_events, page
from tracediff.capture.faults import faults
from tracediff.capture.instrument import instrument, uninstrument
from tracediff.graph.runs import record

openai = pytest.importorskip("openai")
http = importlib.import_module("httpx2" if int(openai.__version__.partition(".")[0]) >= 3 else "httpx")
ASK = {"model": "sim", "messages": [{"role": "user", "content": "How many animals?"}]}
CHAT, SSE = as_json(bodies.chat()), events(bodies.chat_chunks())


@pytest.fixture(scope="module")
def server():
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture(scope="module", autouse=True)
def unfrozen():
    yield
    gc.unfreeze()


MADE = weakref.WeakSet()


def made(server, client_class=None, **settings):
    client = (client_class or openai.OpenAI)(
        **{"api_key": "k", "base_url": server.base_url, "max_retries": 0, **settings}
    )
    MADE.add(client)
    return client


def tried(use, *args):
    """What a use gives, or what it raises."""
    try:
        return use(*args)
    except Exception as error:
        return type(error), str(error)


# One model call each, unless said otherwise


def copied_answer(server):
    answer = made(server).chat.completions.create(**ASK)
    return [copy.copy(answer) == answer, copy.deepcopy(answer) == answer, pickle.loads(pickle.dumps(answer)) == answer]


def pickled_raw(server):
    answer = made(server).chat.completions.with_raw_response.create(**ASK)
    response = pickle.loads(pickle.dumps(answer.http_response))
    return response.text, sorted(vars(response)), tried(pickle.dumps, answer), type(copy.copy(answer))


def pickled_stream_response(server):
    stream = made(server).chat.completions.create(**ASK, stream=True)
    list(stream)
    pickled = tried(lambda: sorted(vars(pickle.loads(pickle.dumps(stream.response)))))
    return pickled, sorted(vars(stream)), sorted(vars(stream.response))


def copied_stream(server):
    stream = made(server).chat.completions.create(**ASK, stream=True)
    twin = copy.copy(stream)
    said = [next(stream).model_dump(), next(twin).model_dump(), tried(copy.deepcopy, stream)]
    return said + [item.model_dump() for item in twin]


def pickled_error(server):
    server.script(as_json({"error": {"message": "no", "code": "bad"}}, 400))
    try:
        made(server).chat.completions.create(**ASK)
    except openai.BadRequestError as error:
        return tried(lambda: repr(pickle.loads(pickle.dumps(error)))), tried(copy.copy, error).__class__, error.body


def weak_client(server):
    """A client and its stream are freed as soon as nobody holds them."""
    client = made(server)
    stream = client.chat.completions.create(**ASK, stream=True)
    list(stream)
    seen = [weakref.ref(client), weakref.ref(stream), weakref.ref(stream.response)]
    del client, stream
    gc.collect()
    return [ref() is None for ref in seen]


def copied_client(server):
    client = made(server, organization="o")
    other = client.with_options(timeout=3.5, default_headers={"x-more": "1"})
    return other.chat.completions.create(**ASK).model_dump(), tried(pickle.dumps, client), tried(copy.deepcopy, client)


class Careful(openai.OpenAI):
    """With a ``request`` of its own, made before tracediff comes."""

    def request(self, *args, **kwargs):
        self.asked = getattr(self, "asked", 0) + 1
        return super().request(*args, **kwargs)


def subclassed(server):
    client = made(server, Careful)
    return client.chat.completions.create(**ASK).model_dump(), client.asked


def subclassed_later(server):
    class Later(openai.OpenAI):
        def request(self, *args, **kwargs):
            return super().request(*args, **kwargs)

        def _prepare_options(self, options):
            options = super()._prepare_options(options)
            options.headers = {**(options.headers or {}), "x-prepared": "1"}
            return options

    return made(server, Later).chat.completions.create(**ASK).model_dump()


def patched_instance(server):
    client, asked = made(server), []
    own = client.request

    def request(*args, **kwargs):
        asked.append(sorted(kwargs))
        return own(*args, **kwargs)

    client.request = request
    return client.chat.completions.create(**ASK).model_dump(), asked


def strict(server):
    server.script(as_json({**bodies.chat(), "choices": "none"}))
    client = made(server, _strict_response_validation=True)
    raw = client.chat.completions.with_raw_response.create(**ASK)
    return tried(raw.parse)[0]


def hooked(server):
    seen = []

    def on_response(response):
        response.read()
        seen.append(len(response.content))

    client = made(server, http_client=http.Client(event_hooks={"response": [on_response], "request": [seen.append]}))
    items = [item.model_dump() for item in client.chat.completions.create(**ASK, stream=True)]
    return items, seen[1:], [name for name, _ in seen[0].headers.raw]


def default_http_client(server):
    client = made(server, http_client=openai.DefaultHttpxClient(timeout=9))
    return client.chat.completions.create(**ASK).model_dump()


def own_send(server):
    """A client whose ``send`` answers by itself, with a body that nothing wraps."""

    class Body(http.SyncByteStream):
        __slots__ = ()

        def __iter__(self):
            yield from SSE.chunks

    class Own(http.Client):
        def send(self, request, **kwargs):
            return http.Response(200, headers=SSE.headers, stream=Body(), request=request)

    client = made(server, http_client=Own())
    return [item.model_dump() for item in client.chat.completions.create(**ASK, stream=True)]


def redirected(server):
    server.script(page("", status=307, location=f"{server.base_url}/elsewhere"), CHAT)
    return made(server).chat.completions.create(**ASK).model_dump()


def module_client(server):
    openai.api_key, openai.base_url, openai.max_retries = "k", server.base_url, 0
    try:
        return openai.chat.completions.create(**ASK).model_dump()
    finally:
        openai.api_key = openai.base_url = None
        openai.max_retries = 2
        openai._reset_client()


USES = [
    copied_answer,
    pickled_raw,
    pickled_stream_response,
    copied_stream,
    pickled_error,
    weak_client,
    copied_client,
    subclassed,
    subclassed_later,
    patched_instance,
    strict,
    hooked,
    default_http_client,
    own_send,
    redirected,
    module_client,
]


def seen_by(use, server):
    server.script(SSE if use in (pickled_stream_response, copied_stream, weak_client, hooked, own_send) else CHAT)
    gc.freeze()  # the collections look at what this use makes
    unraised = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda fault: unraised.append((fault.exc_type, str(fault.exc_value)))
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = use(server)
            gc.collect()
            for client in list(MADE):
                client.close()
    finally:
        sys.unraisablehook = hook
    told = [(each.category, str(each.message), each.filename, each.lineno) for each in told]
    return found, [each for each in told if each[0] is not ResourceWarning], server.seen, unraised


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_what_a_program_does_beside_asking_is_the_same(server, use):
    bare = seen_by(use, server)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    before = faults.counts()
    instrument("openai", tracer_provider=provider)
    instrument("openai")
    try:
        with record() as run:
            assert seen_by(use, server) == bare
    finally:
        uninstrument()
        uninstrument()
    (one,) = run.records
    assert one.end_ns
    assert len([span for span in exporter.get_finished_spans() if span.name == "chat sim"]) == 1
    assert faults.counts() == before


def test_every_method_of_the_clients_looks_the_same():
    """Signatures, sources, annotations and flags of all that a resource offers."""

    def seen():
        found = {}
        for client in (openai.OpenAI, openai.AsyncOpenAI, openai.AzureOpenAI):
            for name, value in inspect.getmembers(client, inspect.isroutine):
                told = (
                    tried(inspect.signature, value),
                    tried(inspect.getsource, value),
                    inspect.iscoroutinefunction(value),
                )
                found[client, name] = (
                    str(told),
                    getattr(value, "__module__", None),
                    getattr(value, "__defaults__", None),
                )
                found[client, name] += (
                    getattr(value, "__kwdefaults__", None),
                    repr(getattr(value, "__annotations__", None)),
                )
        return found

    bare = seen()
    instrument("openai")
    try:
        assert seen() == bare
    finally:
        uninstrument()
    assert seen() == bare


RESPONSE_EVENTS = named_events(bodies.response_events())


def batch(client):
    asked = {"input_file_id": "f", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    return client.batches.create(**asked).model_dump()


def retrieved(client):
    return [client.responses.retrieve("resp_1").model_dump(), client.responses.cancel("resp_1").model_dump()]


def resumed(client):
    """A response in the background, whose events are read later."""
    return [event.model_dump() for event in client.responses.retrieve("resp_1", stream=True, starting_after=1)]


def resumed_helper(client):
    with client.responses.stream(response_id="resp_1") as stream:
        return [repr(event) for event in stream]


def thread(client):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return client.beta.threads.create().model_dump()


def others(client):
    return [client.moderations.create(input="x").model_dump(), client.models.retrieve("m").model_dump()]


@pytest.mark.parametrize(
    "use", [batch, retrieved, resumed, resumed_helper, thread, others], ids=lambda use: use.__name__
)
def test_what_is_no_model_call_has_no_record(server, use):
    def seen():
        server.script(RESPONSE_EVENTS if use in (resumed, resumed_helper) else as_json({"id": "x", "object": "x"}))
        with made(server) as client:
            return tried(use, client), len(server.seen)

    bare = seen()
    assert not isinstance(bare[0], tuple), bare
    instrument("openai")
    try:
        with record() as run:
            assert seen() == bare
    finally:
        uninstrument()
    assert run.records == ()
