"""The frameworks' tests against the lowest and the newest releases: ``make test-frameworks``.

Each environment is a plain virtual one under build/frameworks, made once and kept; pip installs what it names. Two run
at a time. Without names all of them: ``python tests/frameworks.py langchain-lowest``. After a run of all, the table of
versions in integrations/README.md is written anew; ``--check`` fails instead where it differs.
"""

import concurrent.futures
import re
import subprocess
import sys
import time

from environments import ROOT, chosen, made, run, versions

HOME = ROOT / "build" / "frameworks"
README = ROOT / "integrations" / "README.md"
RUNS = ("pytest>=8.3", "hypothesis>=6.100", "openai>=2.45,<4")
LANGCHAIN = (
    "langchain-core",
    "langchain",
    "langgraph",
    "langgraph-prebuilt",
    "langchain-openai",
    "langchain-anthropic",
)
LLAMA_INDEX = (
    "llama-index-core",
    "llama-index-workflows",
    "llama-index-instrumentation",
    "llama-index-llms-openai",
    "llama-index-llms-openai-like",
)
ENVIRONMENTS = {
    "langchain-lowest": (
        "tests/integrations/langchain",
        (
            "langchain-core==1.0.0",
            "langchain==1.0.0",
            "langgraph==1.0.0",
            "langgraph-prebuilt==1.0.0",
            "langchain-openai==1.0.0",
        ),
        LANGCHAIN,
    ),
    "langchain-newest": (
        "tests/integrations/langchain",
        (
            "langchain-core>=1.7,<2",
            "langchain>=1.4,<2",
            "langgraph>=1.2,<2",
            "langchain-openai>=1.7,<2",
            "langchain-anthropic>=1.7,<2",
            "anthropic>=2,<3",
            "libcst>=1.5",
        ),
        LANGCHAIN,
    ),
    "llama-index-lowest": (
        "tests/integrations/llama_index",
        (
            "llama-index-core==0.14.5",
            "llama-index-workflows==2.0.1",
            "llama-index-llms-openai==0.6.10",
            "llama-index-llms-openai-like==0.5.3",
            "pydantic<2.12",  # from there on it warns of a field of this release's
            "libcst>=1.5",
        ),
        LLAMA_INDEX,
    ),
    "llama-index-newest": (
        "tests/integrations/llama_index",
        ("llama-index-core>=0.14.25,<0.15", "llama-index-llms-openai-like>=0.8", "libcst>=1.5"),
        LLAMA_INDEX,
    ),
    "examples-newest": (
        "tests/examples/test_every_example.py",
        (
            "bm25s>=0.2.13",
            "libcst>=1.5",
            "langchain>=1.4,<2",
            "langchain-openai>=1.7,<2",
            "llama-index-core>=0.14.5,<0.15",
            "llama-index-llms-openai-like",  # holds openai below 3
        ),
        (),
    ),
}
"""Name -> (tests, what is installed beside tracediff, packages the table of versions names). The lowest are the bounds
of the extras in pyproject.toml."""
BEGIN, END = "<!-- versions -->", "<!-- /versions -->"


def tested(name):
    """Name, exit code, seconds, versions found and output of the tests in one environment."""
    begun = time.monotonic()
    tests, wanted, packages = ENVIRONMENTS[name]
    found = {}
    try:
        python = made(HOME / name, (*RUNS, *wanted))
        code, said = run(python, *tests.split())
        if " passed" not in said:  # nothing was collected: the framework is not there
            code = code or 1
        known = versions(python)
        found = {package: known[package] for package in packages if package in known}
    except (RuntimeError, subprocess.CalledProcessError) as error:
        code, said = 1, str(error)
    return name, code, time.monotonic() - begun, found, said


def table(results):
    """The table of versions: one line for each package, the lowest and the newest that were tested."""
    rows = {}
    for name, _, _, found, _ in results:
        which = name.rpartition("-")[2]
        for package, version in found.items():
            rows.setdefault(package, {})[which] = version
    lines = ["| package | lowest tested | newest tested |", "|---|---|---|"]
    lines += [f"| {name} | {row.get('lowest', '')} | {row.get('newest', '')} |" for name, row in rows.items()]
    return "\n".join([BEGIN, *lines, END])


def main(names, *, is_check=False):
    worst, results = 0, []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for result in pool.map(tested, chosen(names, ENVIRONMENTS) or [*ENVIRONMENTS]):
            name, code, seconds, found, said = result
            results.append(result)
            shown = said if code else "\n".join(said.splitlines()[-1:])
            head = " ".join(f"{package}=={version}" for package, version in found.items())
            print(f"== {name} ({head}; {seconds:.0f} s)\n{shown}", flush=True)
            worst = max(worst, code)
    if not names and not worst:
        before = README.read_text()
        after = re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: table(results), before, flags=re.DOTALL)
        if after != before and is_check:
            print(
                f"{README.relative_to(ROOT)}: the table of versions is not of this run; make test-frameworks writes it"
            )
            worst = 1
        elif after != before:
            README.write_text(after)
    return worst


if __name__ == "__main__":
    given = [name for name in sys.argv[1:] if name != "--check"]
    sys.exit(main(given, is_check="--check" in sys.argv))
