"""Optimize: a program's prompts improved on samples, in sync code, in async code and in a notebook."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tracediff import discover
from tracediff.autodiff import templates
from tracediff.discover.steps import stepped
from tracediff.engine import Engine, connect
from tracediff.errors import UsageError
from tracediff.optim import Optimizer, optimizer_named
from tracediff.parameters import text_hash
from tracediff.store import save_prompts
from tracediff.training.budget import Budget, Ledger
from tracediff.training.candidates import Parameters
from tracediff.training.evidence import Critic, NodeMetrics
from tracediff.training.execution import Executor
from tracediff.training.journal import Journal
from tracediff.training.metrics import Metric, metric_name
from tracediff.training.progress import Progress, ProgressEvent
from tracediff.training.result import Result
from tracediff.training.samples import Data, data_hash, read_samples
from tracediff.training.sampling import ShuffledEpochs
from tracediff.training.scoring import MeteredEngine, Scorer, Split
from tracediff.training.trainer import Options, Parts, Trainer
from tracediff.training.validation import GatedValidation

PROMPTS_FILE = "prompts.json"


def optimize(
    program: Callable[..., Any] | object,
    *,
    train: Data,
    val: Data,
    metric: Metric,
    critic: Engine | str,
    proposer: Engine | str | None = None,
    test: Data | None = None,
    loss_metric: Metric | None = None,
    losses: NodeMetrics | None = None,
    optimizer: str | Optimizer[Any] = "gdpo",
    run_dir: str | os.PathLike[str] | None = None,
    budget: Budget | Mapping[str, float] | int | None = None,
    seed: int = 0,
    batch_size: int = 4,
    max_steps: int = 12,
    proposals: int = 4,
    threshold: float = 0.9,
    patience: int | None = None,
    max_in_flight: int = 16,
    one_at_a_time: bool = False,
    gradients: bool = True,
    constraints: Mapping[str, Mapping[str, Any]] | None = None,
    parameters: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Result:
    """Return the best prompts found for ``program``; LLM-AutoDiff (arXiv 2501.16673), algorithm 2.

    The program itself is not changed: use the result with ``tracediff.using`` or ``activate``. Works in a running event
    loop too (a notebook); an async program then runs on a loop of its own, see ``aoptimize``.

    Args:
        program: A callable, sync or async, or an object with ``invoke``; called from several threads or tasks at once.
            The items of a generator are made inside the run, its prediction is their list. Prompts that are read in
            another process (a ProcessPoolExecutor) are not the candidate's.
        train: Samples (mappings, or the path of a JSONL file) that are learned from.
        val: Samples that decide what is kept.
        metric: ``metric(prediction, sample)`` returns a number in [0, 1] or a Score; the reported score.
        critic: What writes the gradients: an engine, or ``"openai:MODEL"``.
        proposer: What writes the proposals; the critic unless given.
        test: Samples scored once before and once after.
        loss_metric: Drives threshold and batch gate; ``metric`` unless given.
        losses: Site -> metric of that node's output, beside the loss on the final output (eq. 1).
        optimizer: A name, or an object with init, propose and observe.
        run_dir: Folder for the journal and ``prompts.json``; made if absent, refused if it holds another run (one
            that failed before anything was paid, or because of a mistake in the call or the program, does not count).
        budget: Limits: ``Budget``, a mapping of its fields, or a number of calls.
        seed: Of the batches; the same seed sends the same requests.
        batch_size: Samples a step.
        max_steps: Steps at most.
        proposals: Proposals a step at most.
        threshold: A sample whose loss score is below is learned from (eq. 12).
        patience: Steps in a row without an improvement before the run stops; None for no such limit.
        max_in_flight: Runs or engine calls at the same time.
        one_at_a_time: Change one parameter a step instead of all jointly.
        gradients: False is the paper's ablation: the optimizer sees raw inputs, outputs and scores.
        constraints: Parameter name -> ``{"frozen": [...], "max_chars": n, "trainable": bool}``, over the code's own.
        parameters: File of the prompts that ``tracediff discover`` found in a program that declares none; they are
            trained beside those that it declares.
        progress: Told what happens.

    Raises:
        NoParameters: The program read no trainable prompt.
        UsageError: Data, metric (MetricError), prompts (ParameterError) or options that can't be used.
        EngineRefused, EngineUnavailable, LostContext: Nothing more can be learned; what was kept is in ``run_dir``.
        RunLocked, JournalError: ``run_dir`` is in use, or holds another run.
    """
    return _Session(**locals()).run(None)


async def aoptimize(
    program: Callable[..., Any] | object,
    *,
    train: Data,
    val: Data,
    metric: Metric,
    critic: Engine | str,
    proposer: Engine | str | None = None,
    test: Data | None = None,
    loss_metric: Metric | None = None,
    losses: NodeMetrics | None = None,
    optimizer: str | Optimizer[Any] = "gdpo",
    run_dir: str | os.PathLike[str] | None = None,
    budget: Budget | Mapping[str, float] | int | None = None,
    seed: int = 0,
    batch_size: int = 4,
    max_steps: int = 12,
    proposals: int = 4,
    threshold: float = 0.9,
    patience: int | None = None,
    max_in_flight: int = 16,
    one_at_a_time: bool = False,
    gradients: bool = True,
    constraints: Mapping[str, Mapping[str, Any]] | None = None,
    parameters: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Result:
    """Return the best prompts found for ``program``, as ``optimize`` does, without blocking the running loop.

    An async program runs on the caller's loop, so clients that belong to this loop can be used in it.
    """
    session = _Session(**locals())
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    pool = ThreadPoolExecutor(1, thread_name_prefix="tracediff-optimize")  # the loop's own threads stay free
    try:
        return await loop.run_in_executor(pool, context.run, session.run, loop)
    except asyncio.CancelledError:
        session.cancel()
        raise
    finally:
        pool.shutdown(wait=False)


@dataclass(frozen=True, slots=True)
class _Session:
    """The arguments of one call of ``optimize``, and what it opens."""

    program: Any
    train: Data
    val: Data
    metric: Metric
    critic: Engine | str
    proposer: Engine | str | None
    test: Data | None
    loss_metric: Metric | None
    losses: NodeMetrics | None
    optimizer: str | Optimizer[Any]
    run_dir: str | os.PathLike[str] | None
    budget: Budget | Mapping[str, float] | int | None
    seed: int
    batch_size: int
    max_steps: int
    proposals: int
    threshold: float
    patience: int | None
    max_in_flight: int
    one_at_a_time: bool
    gradients: bool
    constraints: Mapping[str, Mapping[str, Any]] | None
    parameters: str | os.PathLike[str] | None
    progress: Progress | None
    executors: list[Executor] = field(default_factory=list)

    def run(self, loop: asyncio.AbstractEventLoop | None) -> Result:
        """Open what is needed, train, and close it."""
        self._check()
        if self.parameters is None:
            return self._run(loop, ())
        found = discover.load(self.parameters)
        with discover.discovered(found.parameters), stepped(found.steps):
            return self._run(loop, found.parameters)

    def _run(self, loop: asyncio.AbstractEventLoop | None, found: tuple[discover.Discovered, ...]) -> Result:
        """Train with discovered prompts in use."""
        train, val, test = self._splits()
        optimizer = optimizer_named(self.optimizer)
        critic = _engine(self.critic)
        proposer = critic if self.proposer is None else _engine(self.proposer)
        ledger = Ledger(Budget.of(self.budget))
        parameters = Parameters(self.constraints, [entry.parameter() for entry in found])
        parameters.check_declared()
        with Executor(self.program, max_in_flight=self.max_in_flight, loop=loop) as executor:
            self.executors.append(executor)
            for split in (train, val, test):
                for sample in split.samples if split else ():
                    executor.binding.arguments(sample)  # bad input is found before anything is paid
            journal = self._journal(optimizer, executor.binding.name, (train, val, test))
            try:
                scorer = Scorer(executor, (self.metric, self.loss_metric), journal, ledger, self._samples)
                engines = [MeteredEngine(engine, journal, ledger) for engine in (critic, proposer)]
                parts = Parts(
                    scorer=scorer,
                    critic=Critic(engines[0], self.threshold, self.max_in_flight, self.losses or {}),
                    proposer=engines[1],
                    optimizer=optimizer,
                    sampling=ShuffledEpochs([s.id for s in train.samples], self.batch_size, random.Random(self.seed)),
                    validation=GatedValidation(train, val),
                    parameters=parameters,
                    ledger=ledger,
                    journal=journal,
                    train=train,
                    val=val,
                    test=test,
                    program=executor.binding.name,
                    progress=self.progress,
                    save_best=lambda texts: self._save(texts, parameters),
                )
                result = Trainer(parts, self._options()).run()
            finally:
                journal.close()
        return replace(result, run_dir=os.fspath(self.run_dir or ""))

    def cancel(self) -> None:
        """Start nothing more; the training thread ends at its next call."""
        for executor in self.executors:
            executor.cancel()

    def _check(self) -> None:
        """Raise UsageError for options that can't be meant, before anything is paid."""
        least = {"batch_size": 1, "max_steps": 0, "proposals": 1, "max_in_flight": 1, "seed": None, "patience": 1}
        for name, limit in least.items():
            value = getattr(self, name)
            if value is None and name == "patience":
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise UsageError(f"{name} must be a whole number, not {value!r}")
            if limit is not None and value < limit:
                raise UsageError(f"{name} must be at least {limit}, not {value}")
        for name in ("one_at_a_time", "gradients"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} must be True or False, not {getattr(self, name)!r}")
        threshold: object = self.threshold
        if isinstance(threshold, bool) or not isinstance(threshold, int | float):
            raise UsageError(f"threshold must be a number above 0 and at most 1, not {threshold!r}")
        if not 0.0 < threshold <= 1.0:
            raise UsageError(f"threshold must be above 0 and at most 1, not {threshold}")
        if self.run_dir is not None and not isinstance(self.run_dir, str | os.PathLike):
            raise UsageError(f"run_dir must be a path, not {self.run_dir!r}")
        if self.progress is not None and not callable(getattr(self.progress, "on_event", None)):
            raise UsageError(f"progress: expected an object with on_event, not {self.progress!r}")
        self._check_metrics()

    def _check_metrics(self) -> None:
        """Raise UsageError for a metric that is no plain function."""
        if self.losses is not None and not isinstance(self.losses, Mapping):
            raise UsageError(f"losses: expected a mapping site -> metric, not {self.losses!r}")
        losses = {f"losses[{site!r}]": metric for site, metric in (self.losses or {}).items()}
        if self.loss_metric is not None:
            losses["loss_metric"] = self.loss_metric
        for name, given in {"metric": self.metric, **losses}.items():
            if not callable(given):
                raise UsageError(f"{name}: a metric is a function metric(prediction, sample), not {given!r}")
            if inspect.iscoroutinefunction(given):
                raise UsageError(f"{name}: {metric_name(given)} is async; a metric must be a plain function")

    def _options(self) -> Options:
        return Options(
            max_steps=self.max_steps,
            proposals=self.proposals,
            patience=self.patience,
            one_at_a_time=self.one_at_a_time,
            gradients=self.gradients,
            seed=self.seed,
        )

    def _splits(self) -> tuple[Split, Split, Split | None]:
        train, val = (Split(name, read_samples(getattr(self, name), name)) for name in ("train", "val"))
        return train, val, None if self.test is None else Split("test", read_samples(self.test, "test"))

    def _journal(self, optimizer: Optimizer[Any], program: str, splits: tuple[Split | None, ...]) -> Journal:
        """Return the open journal, with what the run was started with in its header."""
        header = {
            "program": program,
            "program_hash": _source_hash(self.program),
            "metric": metric_name(self.metric),
            "loss_metric": metric_name(self.loss_metric) if self.loss_metric else None,
            "losses": {site: metric_name(metric) for site, metric in (self.losses or {}).items()},
            "data": {split.name: data_hash(split.samples) for split in splits if split},
            "optimizer": self.optimizer if isinstance(self.optimizer, str) else type(self.optimizer).__qualname__,
            "meta_prompts": {"optimizer": getattr(optimizer, "template_hash", ""), **_critic_hashes()},
            "engines": [e if isinstance(e, str) else type(e).__qualname__ for e in (self.critic, self.proposer)],
            "options": asdict(self._options()),
            "batch_size": self.batch_size,
            "threshold": self.threshold,
            "max_in_flight": self.max_in_flight,
            "seed": self.seed,
            "budget": asdict(Budget.of(self.budget)),
            "constraints": self.constraints,
            "parameters": None if self.parameters is None else _file_hash(self.parameters),
        }
        return Journal.in_memory(header) if self.run_dir is None else Journal.create(self.run_dir, header)

    def _samples(self, split: str, done: int, total: int) -> None:
        if self.progress is not None:
            message = f"{split}: {done} of {total}"
            self.progress.on_event(ProgressEvent("samples", message, done=done, total=total))

    def _save(self, texts: dict[str, str], parameters: Parameters) -> None:
        """Write the best prompts so far into the run folder."""
        if self.run_dir is not None:
            file = Path(self.run_dir) / PROMPTS_FILE
            save_prompts(file, texts, parameters.of_code())


def _engine(engine: Engine | str) -> Engine:
    if isinstance(engine, str):
        return connect(engine)
    if not callable(engine):
        raise UsageError(f'an engine is a callable or a name such as "openai:MODEL", not {engine!r}')
    return engine


def _source_hash(program: object) -> str:
    """Hash of the program's source, where there is one to read."""
    try:
        return text_hash(
            inspect.getsource(program if callable(program) and hasattr(program, "__code__") else type(program))
        )
    except (OSError, TypeError):
        return ""


def _file_hash(path: str | os.PathLike[str]) -> str:
    return text_hash(Path(path).read_text(encoding="utf-8", errors="surrogatepass"))


def _critic_hashes() -> dict[str, str]:
    """Return meta-prompt of the backward pass -> hash."""
    folder = Path(templates.__file__).with_name("prompts")
    return {file.stem: templates.PromptTemplate(file).hash for file in sorted(folder.glob("*.jinja"))}
