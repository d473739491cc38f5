"""What ``import tracediff`` costs, as CPU of fresh processes, against ``import opentelemetry.sdk.trace``.

Both are compiled beforehand, as pip leaves them. The processes take turns, and the ratio is the median of the rounds::

    python -m benchmarks.import_cost
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping

LIMIT = 1.3
CODES = {
    "python": "pass",
    "opentelemetry.sdk.trace": "import opentelemetry.sdk.trace",
    "tracediff": "import tracediff",
    "tracediff, a run": "import tracediff\nwith tracediff.record(): pass",
}


def cpu_ms(code: str, environment: Mapping[str, str]) -> float:
    """Return the CPU of a process that runs ``code`` and ends."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(environment))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def measure(rounds: int) -> dict[str, list[float]]:
    """Return what is imported -> CPU of each round, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = folder
        for code in CODES.values():
            cpu_ms(code, environment)
        taken: dict[str, list[float]] = {name: [] for name in CODES}
        for _ in range(rounds):
            for name, code in CODES.items():
                taken[name].append(cpu_ms(code, environment))
    return taken


def main() -> None:
    """Print the figures; exit with 1 where the ratio is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    taken = measure(parser.parse_args().rounds)
    bases = taken["opentelemetry.sdk.trace"]
    print(f"{'import':26} {'CPU, ms':>8} {'ratio':>7}")
    ratios = {}
    for name, costs in taken.items():
        ratios[name] = statistics.median(cost / base for cost, base in zip(costs, bases, strict=True))
        print(f"{name:26} {statistics.median(costs):8.1f} {ratios[name]:7.2f}")
    print(f"limit of tracediff{'':17} {LIMIT:7.2f}")
    if ratios["tracediff"] > LIMIT:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
