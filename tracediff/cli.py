"""The command line: `tracediff demo | discover | optimize | eval | diff | report | graph | params`.

Exit codes: 0 done, 1 failed, 2 bad usage, 3 finished without an improvement, 4 stopped by a budget, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tracediff.errors import TracediffError, UsageError

MAX_EXCLUDED = 0.05
"""Above this share of samples without a score, a mean means nothing."""
DONE, FAILED, BAD_USAGE, NO_IMPROVEMENT, BUDGET_REACHED, INTERRUPTED = 0, 1, 2, 3, 4, 130

app = typer.Typer(
    name="tracediff",
    help="Automatic differentiation in words for LLM programs that already exist.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
ParametersOption = Annotated[
    Path | None, typer.Option(help="A file of `tracediff discover`: prompts that the program does not declare.")
]
Target = Annotated[str, typer.Argument(metavar="MODULE:PROGRAM", help="Such as app:answer, or path/app.py:answer.")]


def main() -> None:
    """Run the command line and exit with one of the codes above."""
    try:
        app()
    except UsageError as error:
        sys.exit(_complain(str(error), BAD_USAGE))
    except TracediffError as error:
        sys.exit(_complain(str(error), FAILED))


@contextlib.contextmanager
def _interruptible(kept: str) -> Iterator[None]:
    """Turn Ctrl-C into one line that says what is kept, and the exit code of an interrupt."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(_complain(f"interrupted; {kept}", INTERRUPTED)) from None


def _complain(message: str, code: int) -> int:
    from tracediff.report.graph_view import terminal

    print(f"tracediff: {terminal(message)}", file=sys.stderr)
    return code


@app.command()
def demo(
    seed: Annotated[int, typer.Option(help="Which simulated world: another number draws other skills and data.")] = 0,
    as_json: Json = False,
) -> None:
    """Improve two small programs against the bundled simulated model. Needs no key and no network.

    Example: tracediff demo --seed 3
    """
    from tracediff.demo import run_demo, show_demo

    with _interruptible("nothing is kept of a demo"):
        if as_json:
            print(json.dumps(run_demo(seed)))
        else:
            show_demo(seed)


@app.command()
def optimize(
    program: Target,
    train: Annotated[Path, typer.Option(help="JSONL: one sample a line.")],
    val: Annotated[Path, typer.Option(help="JSONL: the samples that decide what is kept.")],
    metric: Annotated[str, typer.Option(help="MODULE:METRIC, metric(prediction, sample) -> number in [0, 1].")],
    critic: Annotated[str, typer.Option(help="Model that writes the gradients, such as openai:gpt-4o.")],
    run_dir: Annotated[Path, typer.Option(help="Folder for the journal and the prompts; made if absent.")],
    proposer: Annotated[str, typer.Option(help="Model that writes the proposals; the critic's if absent.")] = "",
    test: Annotated[Path | None, typer.Option(help="JSONL: scored once before and once after.")] = None,
    loss_metric: Annotated[str, typer.Option(help="MODULE:METRIC for the threshold and the batch gate.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of batches and order.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples a step.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Steps at most.")] = 12,
    proposals: Annotated[int, typer.Option(min=1, help="Proposals a step at most.")] = 4,
    in_flight: Annotated[int, typer.Option(min=1, help="Calls at the same time.")] = 16,
    max_calls: Annotated[int | None, typer.Option(min=1, help="Model calls at most, all purposes together.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens at most, all purposes together.")] = None,
    max_seconds: Annotated[float | None, typer.Option(min=0, help="Seconds at most.")] = None,
    one_at_a_time: Annotated[bool, typer.Option(help="Change one parameter a step instead of all.")] = False,
    gradients: Annotated[bool, typer.Option(help="Without: the optimizer sees raw inputs, outputs and scores.")] = True,
    parameters: ParametersOption = None,
    as_json: Json = False,
) -> None:
    """Improve the prompts of a program and write them to RUN_DIR/prompts.json.

    Example: tracediff optimize app:answer --train train.jsonl --val val.jsonl --metric app:exact
    --critic openai:gpt-4o --proposer openai:gpt-4o --run-dir runs/1
    """
    import tracediff
    from tracediff.report.progress import Progress

    tracediff.instrument()
    kept = (
        f"every paid call is in the journal of {run_dir}, the best prompts so far in its prompts.json if any was kept"
    )
    with _interruptible(kept), Progress(enabled=not as_json) as progress:
        result = tracediff.optimize(
            load_object(program),
            train=train,
            val=val,
            test=test,
            metric=load_object(metric),
            loss_metric=load_object(loss_metric) if loss_metric else None,
            critic=critic,
            proposer=proposer or critic,
            run_dir=run_dir,
            budget=_budget(max_calls, max_tokens, max_seconds),
            seed=seed,
            batch_size=batch_size,
            max_steps=steps,
            proposals=proposals,
            max_in_flight=in_flight,
            one_at_a_time=one_at_a_time,
            gradients=gradients,
            parameters=parameters,
            progress=progress,
        )
    _finish(result, run_dir, as_json=as_json)


@app.command("eval")
def evaluate(
    program: Target,
    data: Annotated[Path, typer.Option(help="JSONL: one sample a line.")],
    metric: Annotated[str, typer.Option(help="MODULE:METRIC, metric(prediction, sample) -> number in [0, 1].")],
    prompts: Annotated[Path | None, typer.Option(help="A prompts file to use instead of the code's texts.")] = None,
    parameters: ParametersOption = None,
    in_flight: Annotated[int, typer.Option(min=1, help="Samples at the same time.")] = 16,
    as_json: Json = False,
) -> None:
    """Score a program on samples.

    Example: tracediff eval app:answer --data test.jsonl --metric app:exact --prompts runs/1/prompts.json
    """
    import tracediff
    from tracediff import discover as discovery
    from tracediff.store import load

    tracediff.instrument()
    target, measure = load_object(program), load_object(metric)
    found_before = discovery.load(parameters).parameters if parameters else ()
    with (
        _interruptible("no score is kept"),
        discovery.discovered(found_before),
        tracediff.using(load(prompts) if prompts else {}),
    ):
        found = tracediff.evaluate(target, data, measure, max_in_flight=in_flight)
    from tracediff.report.summary import evaluation_lines, evaluation_object

    print(json.dumps(evaluation_object(found)) if as_json else "\n".join(evaluation_lines(found)))
    if len(found.excluded) > MAX_EXCLUDED * len(found.results):
        raise typer.Exit(FAILED)


@app.command()
def diff(
    run_dir: Annotated[Path, typer.Argument(help="A run folder, or a prompts file.")],
    patch: Annotated[bool, typer.Option("--patch", help="Print a patch of your source, for `git apply`.")] = False,
    as_json: Json = False,
) -> None:
    """Show what an optimization changed in the prompts, or write it back into the source.

    Example: tracediff diff runs/1
    Example: tracediff diff runs/1 --patch | git apply
    """
    from tracediff.report.diff import unified
    from tracediff.report.graph_view import terminal
    from tracediff.store import load

    file = run_dir / "prompts.json" if run_dir.is_dir() else run_dir
    after = load(file)
    if patch:
        _print_patch(file, after)
        return
    before = {name: text.code_text for name, text in after.items()}
    if as_json:
        print(json.dumps({name: {"before": before[name], "after": after[name]} for name in after}))
    else:
        print(terminal(unified(before, after)).rstrip() or "no prompt was changed")


def _print_patch(file: Path, after: Mapping[str, str]) -> None:
    """Print the patch, and on the error stream what is not in it; exit code 1 when something is not."""
    from tracediff.report.patch import Change, make_patch
    from tracediff.store import load_parameters

    changes = [Change.of(parameter, after[parameter.name]) for parameter in load_parameters(file)]
    made = make_patch(changes, Path.cwd())
    sys.stdout.buffer.write(made.text)
    sys.stdout.flush()
    for name, reason in made.failed.items():
        _complain(f"not in the patch: {name}: {reason}", FAILED)
    if made.failed:
        raise typer.Exit(FAILED)


@app.command()
def report(
    run_dir: Annotated[Path, typer.Argument(help="A run folder.")],
    html: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("report.html"),
) -> None:
    """Write one page that shows why each prompt was changed.

    Example: tracediff report runs/1 --html report.html
    """
    from tracediff.report.run_report import write

    write(run_dir, html)
    print(f"wrote {html}")


@app.command()
def graph(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run saved with run.save(path).")],
    svg: Annotated[Path | None, typer.Option(help="Write an SVG image.")] = None,
    dot: Annotated[Path | None, typer.Option(help="Write Graphviz DOT.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page.")] = None,
    gradients: Annotated[Path | None, typer.Option(help="Show the gradients saved with gradients.save(path).")] = None,
    as_json: Json = False,
) -> None:
    """Show what fed what in a saved run: a tree here, pictures with --svg, --dot or --html.

    Example: tracediff graph run.jsonl --html run.html
    """
    from tracediff.autodiff import Gradients
    from tracediff.graph import ParameterGraph
    from tracediff.report import graph_view

    found = ParameterGraph.from_jsonl(run)
    flowing = None if gradients is None else Gradients.load(gradients)
    if dot is not None:
        _write(dot, graph_view.dot(found))
    if svg is not None:
        _write(svg, graph_view.svg(found, flowing))
    if html is not None:
        _write(html, graph_view.page(found, flowing))
    print(json.dumps(found.to_json()) if as_json else graph_view.tree(found))


@app.command()
def params(
    source: Annotated[str, typer.Argument(metavar="MODULE|FILE", help="A module with trainable prompts, or a file.")],
    as_json: Json = False,
) -> None:
    """List the trainable prompts that a module declares, or those of a parameters file.

    Example: tracediff params app
    Example: tracediff params parameters.json
    """
    from dataclasses import asdict

    from tracediff import discover as prompts
    from tracediff.capture import declared_parameters
    from tracediff.report.graph_view import terminal

    if source.endswith(".json"):
        found = prompts.load(source).parameters
        if as_json:
            print(json.dumps([asdict(entry) for entry in found]))
        for entry in () if as_json else found:
            print(terminal(_entry(entry, entry.text)))
        return
    _import(source.partition(":")[0])
    declared = list(declared_parameters())
    if as_json:
        print(json.dumps([asdict(parameter) for parameter in declared]))
    for parameter in () if as_json else declared:
        state = "" if parameter.trainable else " (not trainable)"
        print(terminal(f"{parameter.name}{state}  {parameter.file}:{parameter.line}\n{parameter.text}\n"))


def _entry(entry: Any, text: str) -> str:
    """Return one entry of a parameters file for the terminal."""
    note = f"\n({entry.note})" if entry.note else ""
    place = f"{entry.file}:{entry.line}" if entry.file else "in no source"
    return f"{entry.name} [{entry.status}]  {place}  {entry.role}{note}\n{text}\n"


@app.command()
def discover(
    program: Target,
    samples: Annotated[Path, typer.Option(help="JSONL: one sample a line; a few that differ are enough.")],
    out: Annotated[Path, typer.Option(help="The file to write; refused if it is there.")] = Path("parameters.json"),
    limit: Annotated[int, typer.Option(min=1, help="Samples to run at most; each pays its model calls.")] = 5,
    force: Annotated[bool, typer.Option(help="Write over a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Find the prompts of a program that declares none, and write them to a file to read, edit and train.

    Example: tracediff discover app:answer --samples train.jsonl --out parameters.json
    """
    import tracediff
    from tracediff import discover as prompts
    from tracediff.report.graph_view import terminal
    from tracediff.training.discovering import discover_parameters

    if out.exists() and not force:
        raise UsageError(f"{out} is there already, perhaps edited by hand. Give another --out, or --force")
    if not out.absolute().parent.is_dir():  # before any model call is paid
        raise UsageError(f"can't write {out}: there is no folder {out.parent}. Make it, or give another --out")
    tracediff.instrument()
    with _interruptible("nothing is written"):
        found = discover_parameters(load_object(program), samples, limit=limit)
    prompts.save(out, found.file)
    for fault in found.faults:
        print(f"tracediff: {terminal(fault)}", file=sys.stderr)
    if as_json:
        print(out.read_text(encoding="utf-8"), end="")
        return
    for entry in found.file.parameters:
        first = next(line.strip() for line in entry.text.splitlines() if line.strip())
        print(terminal(_entry(entry, first)), end="")
    for step in found.file.steps:
        print(terminal(f"step {step.name} [{step.kind}]  {step.file}:{step.line}  {step.role}"))
    for (role, site), texts in _by_site(found.file.unexplained).items():
        first = next(line.strip() for line in texts[0].splitlines() if line.strip())
        more = f" (and {len(texts) - 1} others)" if len(texts) > 1 else ""
        print(terminal(f"not in the source: {role} of {site or found.file.program}{more}: {first[:80]}"))
    print(f"{found.requests} requests in {found.samples} runs. Wrote {out}: freeze or delete entries, then")
    print(f"tracediff optimize {program} --parameters {out} --train TRAIN.jsonl --val VAL.jsonl ...")


def _by_site(unexplained: Iterable[Mapping[str, str]]) -> dict[tuple[str, str], list[str]]:
    """Return texts by role and calling function; the function is empty where a framework makes the calls."""
    found: dict[tuple[str, str], list[str]] = {}
    for text in unexplained:
        found.setdefault((text["role"], text["site"]), []).append(text["text"])
    return found


def _budget(calls: int | None, tokens: int | None, seconds: float | None) -> Mapping[str, Any] | None:
    given = {"calls": calls, "tokens": tokens, "seconds": seconds}
    return {name: limit for name, limit in given.items() if limit is not None} or None


def _finish(result: Any, run_dir: Path, *, as_json: bool) -> None:
    from tracediff.report.summary import as_object, lines

    print(json.dumps(as_object(result)) if as_json else "\n".join(lines(result, run_dir)))
    if result.stop_reason == "budget":
        raise typer.Exit(BUDGET_REACHED)
    if not result.improved:
        raise typer.Exit(NO_IMPROVEMENT)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror or error}") from error


def load_object(spec: str) -> Callable[..., Any]:
    """Return the object of ``module:name`` or ``path/file.py:name``; raise UsageError that says what is missing."""
    module_name, _, path = spec.partition(":")
    if not path:
        raise UsageError(f"{spec!r} names no object: expected MODULE:NAME, such as app:answer")
    found: Any = _import(module_name)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            public = (
                ", ".join(n for n in vars(found) if not n.startswith("_"))[:300] if hasattr(found, "__dict__") else ""
            )
            raise UsageError(f"{module_name} has no {name!r}. It has: {public}") from None
    if not callable(found) and not hasattr(found, "invoke"):
        raise UsageError(f"{spec} is no program: {type(found).__name__} can't be called and has no `invoke`")
    return found  # type: ignore[no-any-return]


def _import(name: str) -> Any:
    """Import a module of the current folder or the path, or a file; its own errors come through as they are."""
    if name.endswith(".py"):
        return _import_file(Path(name).resolve())
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise UsageError(f"there is no module {name!r} in {Path.cwd()} or on the path") from error
        raise


def _import_file(path: Path) -> Any:
    """Import a file under the name that its own folder's code imports it by; a second one gets another."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    sys.path.insert(0, str(path.parent))
    loaded = sys.modules.get(path.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    name = path.stem if loaded is None else f"{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
