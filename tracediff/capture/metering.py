"""Metrics of model calls by the GenAI conventions: how long they took, how many tokens went in and out.

They go to the meter provider given to ``instrument``, else to the global one as it is; none is ever set.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tracediff import attributes as keys
from tracediff.capture import exits
from tracediff.capture.faults import faults

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, MeterProvider

    from tracediff.capture.recorder import Call

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
"""Bucket boundaries that the conventions advise."""
_OF_CALL = (
    keys.OPERATION_NAME,
    keys.PROVIDER_NAME,
    keys.REQUEST_MODEL,
    keys.RESPONSE_MODEL,
    keys.SERVER_ADDRESS,
    keys.SERVER_PORT,
)
_COUNTED = (("input", keys.USAGE_INPUT_TOKENS), ("output", keys.USAGE_OUTPUT_TOKENS))


class _Meters:
    """Where measurements go: the provider given to ``instrument``, else the global one."""

    def __init__(self) -> None:
        self.chosen: MeterProvider | None = None
        self.known: tuple[object, tuple[Histogram, Histogram]] | None = None


_meters = _Meters()


def use_meter_provider(provider: MeterProvider | None) -> None:
    """Send measurements to ``provider``; None returns to the global one."""
    _meters.chosen = provider


def is_on() -> bool:
    """Tell whether measurements go anywhere. The global provider is read where it is kept: a get would make one.

    While nobody has imported the metrics API there is none, and tracediff leaves it at that.
    """
    provider = _meters.chosen
    if provider is None and (module := sys.modules.get("opentelemetry.metrics._internal")) is not None:
        provider = module._METER_PROVIDER
    return provider is not None and type(provider).__name__ != "NoOpMeterProvider"


def measure(call: Call) -> None:
    """Record duration and tokens of a model call of a client that has ended. Never raises."""
    try:
        said = call.attributes or {}
        if keys.PROVIDER_NAME not in said:
            return  # a function of the program's, whose client call is measured itself
        known = {key: said[key] for key in _OF_CALL if isinstance(said.get(key), str | int)}
        from opentelemetry.metrics import get_meter_provider  # loaded by whoever set the provider

        duration, tokens = _histograms(_meters.chosen or get_meter_provider())
        if call.error is not None:
            known[keys.ERROR_TYPE] = call.error.partition(":")[0]
        duration.record(max(call.end_ns - call.start_ns, 0) / 1e9, known)
        for kind, key in _COUNTED:
            if isinstance(count := said.get(key), int):
                tokens.record(count, {**known, keys.TOKEN_TYPE: kind})
    except Exception as error:  # never felt by the program
        faults.note("measuring a call", error)


def _histograms(provider: Any) -> tuple[Histogram, Histogram]:
    """Return the histograms of durations and of tokens of a provider, made once for the one used last."""
    if _meters.known is not None and _meters.known[0] is provider:
        return _meters.known[1]
    made = _made(provider)
    _meters.known = (provider, made)
    return made


def _made(provider: Any) -> tuple[Histogram, Histogram]:
    exits.hold(provider)
    meter = provider.get_meter("tracediff")
    return (
        meter.create_histogram(
            keys.METRIC_DURATION,
            unit="s",
            description="How long model calls took.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        ),
        meter.create_histogram(
            keys.METRIC_TOKENS,
            unit="{token}",
            description="Tokens that went into model calls and came out.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        ),
    )
