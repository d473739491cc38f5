"""The table of examples/README.md: every example optimized on the command line, against the SIMULATED world.

    python -m benchmarks.examples_table [--seeds 5] [--only NAME ...] [--jobs 2] [--kept FILE] [--write]

Each program runs as a user runs it: `tracediff discover` where nothing is decorated, then `tracediff optimize`, in
processes of their own, over HTTP; the patch of what it found must apply to the source. Accuracies are means over the
seeds. The interval is Student's 95% interval of (test - start), paired: from the seeds' differences, each over the same
test samples. Programs that stand there twice, decorated and not, run on twice as many seeds: where a run ends varies by
more than what they are compared by. Exit code 1 when the lower end of an interval is not above 0, or when such a pair
ends more than 3 points apart.
The figures say whether feedback reaches the right prompt, and nothing about real models.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from tracediff.simulate import Server, World
from tracediff.simulate.__main__ import write_samples
from tracediff.training.journal import read_journal

ROOT = Path(__file__).parents[1]
README = ROOT / "examples" / "README.md"
BEGIN, END = "<!-- table: made by `make examples-table` -->\n", "<!-- end of table -->\n"
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Number of seeds -> factor of the 95% interval."""
TWINS = 0.03
_PLAIN = "_undecorated"
STEPS = 24


class Example(NamedTuple):
    """One row of the table."""

    file: str
    pipeline: str
    style: str
    samples: str
    """Which of the simulated world's samples it runs on."""
    needs: str = "openai"
    """The package without which it can't run."""

    @property
    def is_decorated(self) -> bool:
        """Whether the file declares its prompts itself."""
        return self.style == "decorated"


EXAMPLES = (
    Example("object_counting", "object counting", "decorated", "object_counting"),
    Example("object_counting_undecorated", "object counting", "undecorated", "object_counting"),
    Example("trec", "TREC-10", "undecorated", "trec"),
    Example("vanilla_rag", "vanilla RAG", "undecorated", "one_hop"),
    Example("multi_hop_two_queries", "multi-hop RAG, two generators", "undecorated", "multi_hop"),
    Example("multi_hop", "multi-hop RAG, one generator twice", "decorated", "multi_hop"),
    Example("multi_hop_undecorated", "multi-hop RAG, one generator twice", "undecorated", "multi_hop"),
    Example("agentic_rag", "agentic RAG", "undecorated", "multi_hop"),
    Example("langchain_object_counting", "object counting", "LangChain", "object_counting", "langchain_openai"),
    Example("langchain_multi_hop", "multi-hop RAG, one generator twice", "LangChain", "multi_hop", "langchain_openai"),
    Example("langgraph_agentic_rag", "agentic RAG", "LangGraph", "multi_hop", "langchain"),
    Example("llama_index_vanilla_rag", "vanilla RAG", "LlamaIndex", "one_hop", "llama_index"),
    Example("llama_index_multi_hop", "multi-hop RAG, one generator twice", "LlamaIndex", "multi_hop", "llama_index"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of one example came to."""

    start: float
    val: float
    test: float
    calls: int
    tokens: int
    seconds: float
    difference: float
    """Mean over the test samples of score after less score before, sample by sample."""


def command(*arguments: str) -> list[str]:
    """Return the command line of tracediff in this Python."""
    return [sys.executable, "-c", "from tracediff.cli import main; main()", *arguments]


def run(example: Example, seed: int) -> Outcome:
    """Optimize one example in the world of one seed."""
    with tempfile.TemporaryDirectory() as name, Server(World(seed)) as server:
        folder = Path(name)
        write_samples(seed, folder)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "integrations"), os.environ.get("PYTHONPATH", "")]),
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "simulated",
            "TRACEDIFF_EXAMPLE_MODEL": "sim-solver",
            "TRACEDIFF_EXAMPLE_CORPUS": str(folder / "corpus.json"),
        }
        environment.pop("TRACEDIFF_PROMPTS", None)
        program = f"{ROOT / 'examples' / example.file}.py"
        files = {split: f"{example.samples}.{split}.jsonl" for split in ("train", "val", "test")}
        found: list[str] = []
        if not example.is_decorated:
            _called(command("discover", f"{program}:program", "--samples", files["train"]), folder, environment)
            found = ["--parameters", "parameters.json"]
        line = [
            *("optimize", f"{program}:program", "--metric", f"{program}:metric", *found),
            *(part for split, file in files.items() for part in (f"--{split}", file)),
            *("--critic", "openai:sim-critic", "--proposer", "openai:sim-optimizer"),
            *("--run-dir", "run", "--seed", str(seed), "--steps", str(STEPS), "--json"),
        ]
        said = json.loads(_called(command(*line), folder, environment))
        _check_patch(folder / "run", environment)
        before, after = _test_scores(folder / "run")
        return Outcome(
            said["start"]["test"],
            said["val"],
            said["test"],
            sum(said["calls"].values()),
            sum(said["tokens"].values()),
            said["seconds"],
            statistics.fmean(after[sample] - before[sample] for sample in before),
        )


def _called(line: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):  # 3: nothing was better
        raise SystemExit(f"{' '.join(line[2:6])} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def _check_patch(run_dir: Path, environment: Mapping[str, str]) -> None:
    """End the benchmark where a new prompt can't be written back into the example's source."""
    patch = _called(command("diff", str(run_dir), "--patch"), ROOT, environment)
    if patch:
        subprocess.run(["git", "apply", "--check"], input=patch, cwd=ROOT, text=True, check=True)


def _test_scores(run_dir: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Return sample -> score before and after; the same where nothing was better."""
    _, events = read_journal(run_dir)
    by_candidate: dict[str, dict[str, float]] = {}
    for event in events:
        if event.kind == "score" and event.sample.startswith("test/"):
            by_candidate.setdefault(event.candidate, {})[event.sample] = event.body["score"]
    scores = list(by_candidate.values())
    return scores[0], scores[-1]


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Return Student's 95% interval of the mean; of one seed alone, nothing is known."""
    mean = statistics.fmean(differences)
    if len(differences) < 2:
        return float("-inf"), float("inf")
    half = STUDENT[len(differences)] * statistics.stdev(differences) / len(differences) ** 0.5
    return mean - half, mean + half


def seeds_of(example: Example, seeds: int) -> range:
    """Return the seeds of a row: twice as many for a pair of twins."""
    files = {other.file for other in EXAMPLES}
    is_twin = example.file.endswith(_PLAIN) or f"{example.file}{_PLAIN}" in files
    return range(2 * seeds if is_twin else seeds)


def table(outcomes: Mapping[Example, Sequence[Outcome]]) -> str:
    """Return the table in Markdown."""
    lines = [
        "| pipeline | file | style | seeds | start | validation | test | test - start | calls | tokens |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for example, found in outcomes.items():
        low, high = interval([outcome.difference for outcome in found])
        means = {name: statistics.fmean(getattr(o, name) for o in found) for name in ("start", "val", "test")}
        calls, tokens = (statistics.fmean(getattr(o, name) for o in found) for name in ("calls", "tokens"))
        cells = [
            example.pipeline,
            f"`{example.file}.py`",
            example.style,
            str(len(found)),
            *(f"{mean:.2f}" for mean in means.values()),
            f"{low:+.2f} to {high:+.2f}",
            f"{calls:,.0f}",
            f"{tokens:,.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


class Kept:
    """Outcomes in a file of JSON lines: what an interrupted run has made is not made again."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else []
        said = [json.loads(line) for line in lines]
        self._outcomes = {(line.pop("file"), line.pop("seed")): Outcome(**line) for line in said}

    def run(self, example: Example, seed: int) -> Outcome:
        """Return the outcome, kept or new."""
        if (kept := self._outcomes.get((example.file, seed))) is not None:
            return kept
        outcome = run(example, seed)
        if self._path is not None:
            line = json.dumps({"file": example.file, "seed": seed, **asdict(outcome)})
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        return outcome


def missed(outcomes: Mapping[Example, Sequence[Outcome]]) -> list[str]:
    """Return the bars that are missed, in words."""
    said = []
    for example, found in outcomes.items():
        low, _ = interval([outcome.difference for outcome in found])
        if low <= 0:
            said.append(f"{example.file}: the lower end of (test - start) is {low:+.3f}, not above 0")
    tests = {example.file: statistics.fmean(o.test for o in found) for example, found in outcomes.items()}
    for name, test in tests.items():
        twin = f"{name}{_PLAIN}"
        if twin in tests and abs(tests[twin] - test) > TWINS:
            said.append(f"{twin} ends at {tests[twin]:.3f}, {name} at {test:.3f}: more than {TWINS} apart")
    return said


def write(text: str) -> None:
    """Put the table between its marks in the README."""
    page = README.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}{text}{END}{after}", encoding="utf-8")


def main() -> int:
    """Run the examples; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, choices=range(2, 6))
    parser.add_argument("--only", nargs="+", choices=[example.file for example in EXAMPLES], help="these alone")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    parser.add_argument("--kept", type=Path, metavar="FILE", help="go on where a run that wrote to FILE was stopped")
    parser.add_argument("--write", action="store_true", help="put the table into examples/README.md")
    given = parser.parse_args()
    chosen = [example for example in EXAMPLES if not given.only or example.file in given.only]
    if absent := sorted({e.needs for e in chosen if importlib.util.find_spec(e.needs) is None}):
        parser.error(f"not installed: {', '.join(absent)}. Install it, or name other examples with --only")
    if given.write and given.only:
        parser.error("--write makes the whole table: leave out --only")
    jobs = [(example, seed) for example in chosen for seed in seeds_of(example, given.seeds)]
    outcomes: dict[Example, list[Outcome]] = {example: [] for example in chosen}
    kept = Kept(given.kept)
    with ThreadPoolExecutor(given.jobs) as pool:
        for (example, seed), outcome in zip(jobs, pool.map(lambda job: kept.run(*job), jobs), strict=True):
            outcomes[example].append(outcome)
            print(f"{example.file} seed {seed}: {outcome}", file=sys.stderr, flush=True)
    text = table(outcomes)
    print(text)
    if given.write:
        write(text)
    misses = missed(outcomes)
    print("\n".join(f"MISSED: {miss}" for miss in misses) or "All bars are met.")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
