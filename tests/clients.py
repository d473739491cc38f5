"""The clients' tests against several releases, and beside other instrumentations: ``make test-clients``.

Each environment is a plain virtual one under build/clients, made once and kept; pip installs what it names. Two run at
a time. Without names all of them: ``python tests/clients.py lowest newest``.
"""

import concurrent.futures
import subprocess
import sys
import time

from environments import ROOT, chosen, made, run, versions

HOME = ROOT / "build" / "clients"
RUNS = ("pytest>=8.3", "attrs>=23", "hypothesis>=6.100", "numpy>=1.26")
TESTS = ("tests/integrations", "tests/export", "--ignore-glob=*langchain*", "--ignore-glob=*llama_index*")
FEWER = ("tests/export", "tests/integrations/test_anthropic.py", "tests/integrations/test_shapes.py")
"""For the newest: ``make test`` runs the others with it."""
WITH = "anthropic[bedrock,vertex]"
ENVIRONMENTS = {
    "lowest": ("openai==2.45.0", f"{WITH}==2.0.0"),
    "middle": ("openai==2.54.0", f"{WITH}==2.5.0"),
    "newest": (
        "openai>=3,<4",
        f"{WITH}>=2.11,<3",
        "openinference-instrumentation-openai==0.1.66",
        "openinference-instrumentation-anthropic==3.1.0",
        "opentelemetry-instrumentation-openai==0.62.4",
        "opentelemetry-instrumentation-anthropic==0.62.4",
        "opentelemetry-instrumentation-genai-openai==1.3b0",
        "opentelemetry-instrumentation-genai-anthropic==1.3b0",
        "logfire==5.2.0",
        "opentelemetry-distro==0.66b1",
        "opentelemetry-sdk==1.45.1",
        "opentelemetry-exporter-otlp-proto-http==1.45.1",
    ),
}
"""Name -> what is installed beside tracediff. The lowest are the bounds of pyproject.toml; the tools stand in newest."""


def tested(name):
    """Name, exit code, seconds and output of the tests in one environment."""
    begun = time.monotonic()
    try:
        python = made(HOME / name, (*RUNS, *ENVIRONMENTS[name]))
        tests = FEWER if name == "newest" else TESTS
        code, said = run(python, "-p", "no:logfire", *tests)
        known = versions(python)
        found = [f"{name}=={known[name]}" for name in ("anthropic", "openai")]
    except (RuntimeError, subprocess.CalledProcessError) as error:
        code, said, found = 1, str(error), []
    return name, code, time.monotonic() - begun, f"{' '.join(sorted(found))}\n{said}"


def main(names):
    worst = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, code, seconds, said in pool.map(tested, chosen(names, ENVIRONMENTS) or [*reversed(ENVIRONMENTS)]):
            head, _, rest = said.partition("\n")
            shown = rest if code else "\n".join(rest.splitlines()[-1:])
            print(f"== {name} ({head}; {seconds:.0f} s)\n{shown}", flush=True)
            worst = max(worst, code)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
