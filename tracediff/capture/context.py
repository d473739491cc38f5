"""What the running code is in: the active candidate, the recording, the enclosing call.

One key of the OpenTelemetry context carries one immutable ``Scope``, so everything follows tasks by itself and
threads through ``carry_into_threads``. Two candidates run at the same time without touching each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import context as otel
from opentelemetry import trace as api
from opentelemetry.context import Context, create_key

from tracediff.errors import UsageError
from tracediff.parameters import Candidate

if TYPE_CHECKING:
    from tracediff.capture.recording import Recording

SCOPE_KEY = "tracediff.scope"
(SPAN_KEY,) = api.set_span_in_context(api.INVALID_SPAN, Context())
"""Where OpenTelemetry keeps the current span; one copy of the context then takes both."""
OURS_KEY = create_key("tracediff-span")
OUTER_KEY = create_key("tracediff-outer-span")


class Scope(NamedTuple):
    """What the running code is in. Never changed: entering something attaches a new one."""

    candidate: Candidate | None = None
    """Texts of the enclosing ``using`` blocks, merged; the inner one wins."""
    recording: Recording | None = None
    """The innermost recording; it may have been closed since (a thread that outlived its run)."""
    parent_id: str | None = None
    """Record id of the enclosing call."""
    is_trial: bool = False
    """The recording judges a candidate, so a lost context makes it invalid."""
    is_suppressed: bool = False
    """An engine call: nothing is recorded, nothing replaced."""


_NOWHERE = Scope()
_SUPPRESSED = Scope(is_suppressed=True)


class _Activated:
    """The process default candidate, and whether threads carry the context already."""

    def __init__(self) -> None:
        self.candidate: Candidate = MappingProxyType({})
        self.lock = threading.Lock()
        self.is_carrying = False


_process = _Activated()

# The three are called for every traced call; the standard runtime context is a ContextVar, whose own methods take a
# third of the time. Any other runtime context (OTEL_PYTHON_CONTEXT) is used through the public functions.
_variable = getattr(otel._RUNTIME_CONTEXT, "_current_context", None)
current_context: Callable[[], Context] = otel.get_current if _variable is None else _variable.get
enter_context: Callable[[Context], Any] = otel.attach if _variable is None else _variable.set
_leave_context: Callable[[Any], None] = otel.detach if _variable is None else _variable.reset


def current_scope() -> Scope | None:
    """Return the scope of the running code, or None outside of every ``using``, ``record`` and traced call."""
    return current_context().get(SCOPE_KEY)  # type: ignore[return-value]


def with_scope(context: Context, scope: Scope) -> Context:
    """Return a copy of ``context`` with this scope."""
    copied = Context(context)
    dict.__setitem__(copied, SCOPE_KEY, scope)  # nobody else has the copy yet
    return copied


def with_span(context: Context, span: object, *, is_apart: bool = False) -> Context:
    """Return ``context``, which nobody else has yet, with a span of ours as the current one.

    The program's own span stays known beside it: see ``hide_span``. It stays the current one where ours are apart from
    the global provider's (``spans.is_apart``); ``below_ours`` knows ours then.
    """
    if is_apart:
        dict.__setitem__(context, OURS_KEY, span)
        return context
    before = context.get(SPAN_KEY)
    if before is not context.get(OURS_KEY):
        dict.__setitem__(context, OUTER_KEY, before)
    dict.__setitem__(context, OURS_KEY, span)
    dict.__setitem__(context, SPAN_KEY, span)
    return context


def below_ours(context: Context) -> Context:
    """Return ``context`` as it is for spans of ours that are apart from the program's: below the last of ours."""
    ours = context.get(OURS_KEY)
    if ours is None or ours is context.get(SPAN_KEY):
        return context
    copied = Context(context)
    dict.__setitem__(copied, SPAN_KEY, ours)
    return copied


def hide_span(context: Context) -> bool:
    """Put the program's own span in the place of ours in ``context``; return whether ours stood there."""
    current = context.get(SPAN_KEY)
    if current is None or current is not context.get(OURS_KEY):
        return False
    dict.__setitem__(context, SPAN_KEY, context.get(OUTER_KEY) or api.INVALID_SPAN)
    return True


def attach(scope: Scope) -> Any:
    """Make ``scope`` the current one and return the token that ``detach`` takes back."""
    return enter_context(with_scope(current_context(), scope))


def detach(token: Any) -> None:
    """Return to the scope before ``attach``."""
    try:
        _leave_context(token)
    except ValueError:  # a coroutine or generator finalised in another context than it ran in: that one is gone
        return


@contextmanager
def scoped(scope: Scope) -> Iterator[None]:
    """Run the block in ``scope``."""
    token = attach(scope)
    try:
        yield
    finally:
        detach(token)


@contextmanager
def using(candidate: Candidate) -> Iterator[None]:
    """Run the block with these parameter texts in place of the code's. Nested blocks merge, the inner one wins.

    >>> with using({"app.task": "Count the animals."}):
    ...     current_text("app.task")
    'Count the animals.'
    """
    checked = check_candidate(candidate)
    carry_into_threads()
    outer = current_scope() or _NOWHERE
    merged = {**outer.candidate, **checked} if outer.candidate else checked
    with scoped(outer._replace(candidate=MappingProxyType(merged))):
        yield


def activate(candidate: Candidate | None) -> None:
    """Make ``candidate`` the process default that every ``using`` overrides; None returns to the code's texts."""
    _process.candidate = MappingProxyType(check_candidate(candidate or {}))


def check_candidate(candidate: object) -> dict[str, str]:
    """Return ``candidate`` as a plain dict of its own, or raise UsageError when it isn't parameter name -> text."""
    if not isinstance(candidate, Mapping):
        raise UsageError(
            f"a candidate is a mapping of parameter names to texts, not {type(candidate).__name__}; "
            'for example {"app.task": "new text"}'
        )
    for name, text in candidate.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise UsageError(
                f"a candidate maps parameter names to texts; {name!r} has {type(text).__name__} instead of str"
            )
    return dict(candidate)


def current_text(parameter_name: str) -> str | None:
    """Return the text that the active candidate gives this parameter, or None for the code's own.

    ``using`` wins over ``activate``. Under ``suppressed`` nothing is replaced.
    """
    scope = current_scope()
    if scope is not None:
        if scope.is_suppressed:
            return None
        if scope.candidate is not None and (text := scope.candidate.get(parameter_name)) is not None:
            return text
    return _process.candidate.get(parameter_name)


@contextmanager
def suppressed() -> Iterator[None]:
    """Run the block as tracediff's own: nothing in it is recorded, exported or replaced."""
    with scoped(_SUPPRESSED):
        yield


def carry_into_threads() -> None:
    """Make new threads and pool jobs run in the context they were started from. Once per process is enough."""
    # Imported here: it patches nothing on import, but `import tracediff` should stay light.
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor

    with _process.lock:
        instrumentor = ThreadingInstrumentor()
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument()
            _process.is_carrying = True


def stop_carrying() -> None:
    """Leave threads and pools as they were, if it was ``carry_into_threads`` that changed them."""
    with _process.lock:
        if _process.is_carrying:
            from opentelemetry.instrumentation.threading import ThreadingInstrumentor

            _process.is_carrying = False
            ThreadingInstrumentor().uninstrument()
