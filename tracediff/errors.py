"""Every exception that tracediff raises on purpose.

::

    TracediffError
    ├── MissingIntegration        (also ModuleNotFoundError) a library or an extra is not installed
    │   └── UnsupportedVersion    the library is installed in a version that the integration is not made for
    ├── UsageError                (also ValueError) an argument, option, file or sample that can't be used
    │   ├── ParameterError        a prompt that can't be a parameter, or a text that breaks its contract
    │   ├── DataError             a sample, a record or a file that can't be read
    │   ├── MetricError           a metric that raised, or returned something that is no score
    │   ├── NoParameters          the program read no trainable prompt
    │   └── PromptsMismatch       a prompts file that was trained from other code
    ├── LostContext               in a trial, a prompt or client was used outside the run's context
    ├── NoRule                    no backward rule for a kind of node
    ├── EngineError               the model behind an engine did not answer
    │   ├── EngineRefused         it never will: bad key, unknown model, bad request, quota
    │   └── EngineUnavailable     transport fault that outlasted its retries; the call may succeed later
    ├── RunLocked                 another process works in this run folder
    └── JournalError              a journal that is damaged, of another version, or of another run

A message says what, where, what was expected, and the next step.
"""

from __future__ import annotations


class TracediffError(Exception):
    """Base of everything that tracediff raises on purpose."""


class MissingIntegration(TracediffError, ModuleNotFoundError):
    """A library that an integration or an extra needs is not installed."""


class UnsupportedVersion(MissingIntegration):
    """A library is installed in a version that its integration is not made for."""


class UsageError(TracediffError, ValueError):
    """Something the caller gave can't be used as it is."""


class ParameterError(UsageError):
    """A prompt can't be a parameter, or a text breaks the parameter's contract."""


class DataError(UsageError):
    """A sample, a record or a file can't be read."""


class MetricError(UsageError):
    """A metric raised, or returned something that is not a score in [0, 1]."""


class NoParameters(UsageError):
    """The program read no trainable prompt, so there is nothing to train."""


class PromptsMismatch(UsageError):
    """A prompts file was trained from other code than the code that runs."""


class LostContext(TracediffError):
    """In a trial, a prompt was read or a client called outside the run's context."""


class NoRule(TracediffError):
    """No backward rule is registered for a kind of node."""


class EngineError(TracediffError):
    """The model behind an engine did not answer."""


class EngineRefused(EngineError):
    """The engine will never answer this: bad key, unknown model, bad request, quota."""


class EngineUnavailable(EngineError):
    """A transport fault outlasted its retries; the same call may succeed later."""


class RunLocked(TracediffError):
    """Another process works in this run folder."""


class JournalError(TracediffError):
    """A journal is damaged, of another version, or of another run."""
