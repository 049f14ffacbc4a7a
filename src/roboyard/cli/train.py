"""``roboyard train``: one run, from a YAML file to a run directory."""

from __future__ import annotations

import contextlib
import datetime
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from roboyard.cli.output import cell
from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError, StorageError
from roboyard.resources import SMALLEST_MEMORY, require_memory
from roboyard.runs.directory import check_run_id
from roboyard.text import ShownFormatter

if TYPE_CHECKING:
    from roboyard.training.trainer import TrainResult

PROGRAM = (sys.executable, "-c", "from roboyard.cli import main; main()")
"""This program, for child processes."""


Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change one key, such as train.total_steps=1e5. Repeatable."),
]
RunId = Annotated[
    str | None, typer.Option("--run-id", help="Name of the run directory; else the time.")
]
Preemptions = Annotated[
    int, typer.Option(min=0, help="With --supervise: kills from outside to survive.")
]
Errors = Annotated[int, typer.Option(min=0, help="With --supervise: crashes and hangs to survive.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        envvar="ROBOYARD_TRUST_CODE",
        help="Allow a run that was not made here to name code (module:Class) and files.",
    ),
]
HangMinutes = Annotated[
    float, typer.Option(min=0.001, help="With --supervise: no step for so long is a hang.")
]


def train(
    config: Annotated[
        str,
        typer.Argument(
            help="YAML file; or, with --resume, a run: its directory or s3://bucket/prefix/name/id."
        ),
    ],
    *,
    overrides: Overrides = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue a run exactly: this one, or the config's newest."),
    ] = False,
    run_id: RunId = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Measure where the time goes, and change nothing.")
    ] = False,
    supervise: Annotated[
        bool, typer.Option("--supervise", help="Start again after kills, crashes and hangs.")
    ] = False,
    trust_code: Trust = False,
    max_preemptions: Preemptions = 1000,
    max_errors: Errors = 5,
    hang_minutes: HangMinutes = 30.0,
) -> None:
    """Train a policy.

    Everything lands in one run directory: checkpoints, the best and the last policy, metrics,
    TensorBoard files, evaluations, a video and a report. Ctrl-C stops with a checkpoint and
    exit code 75; --resume continues exactly there.

    For example:

        roboyard train configs/cartpole.yaml

        roboyard train configs/cartpole.yaml --set seed=1 --set train.total_steps=5e4

        roboyard train configs/cartpole.yaml --resume

        roboyard train configs/cartpole.yaml --supervise
    """
    _check_start(run_id)
    if supervise:
        limits = (max_preemptions, max_errors, hang_minutes)
        flags = [*["--quiet"] * quiet, *["--profile"] * profile, *["--trust-code"] * trust_code]
        _supervise(config, overrides or [], resume, run_id, flags=flags, limits=limits)
    experiment, run = _experiment(config, overrides or [], resume, run_id, trust_code)
    from roboyard.training.trainer import Trainer

    trainer = Trainer(
        experiment, run_id=run_id, resume_from=run, progress=not quiet, profile=profile
    )
    _print_continued(None if quiet else run, experiment)
    with _warnings_shown():
        result = trainer.train()
    _print_result(result)
    if profile:
        _print_profile(result.run_dir)
    raise typer.Exit(result.exit_code)


def _check_start(run_id: str | None) -> None:
    """Refuse an id that is no folder's name, and memory in which the system would end the run."""
    if run_id is not None:
        check_run_id(run_id)
    remedy = "Allow more (docker run --memory, resources.limits.memory), or train elsewhere."
    require_memory(SMALLEST_MEMORY, "training even a small network", remedy)


@contextlib.contextmanager
def _warnings_shown() -> Iterator[None]:
    """Show warnings, such as uploads that fail, where the user looks, and not only in the log."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(ShownFormatter("%(levelname)s: %(message)s"))
    # An error that ends the command is printed by the command line itself.
    handler.addFilter(lambda record: not getattr(record, "ends_the_run", False))
    logger = logging.getLogger("roboyard")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _supervise(
    source: str,
    overrides: list[str],
    resume: bool,
    run_id: str | None,
    *,
    flags: list[str],
    limits: tuple[int, int, float],
) -> NoReturn:
    """Train in child processes until the run has ended."""
    handler = logging.StreamHandler()
    handler.setFormatter(ShownFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler])
    from roboyard.runs.supervisor import Patience, Supervisor

    experiment, run = _experiment(source, overrides, resume, run_id, "--trust-code" in flags)
    settings = [text for override in overrides for text in ("--set", override)]
    run_id = run_id or datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    place = run or f"{experiment.store.rstrip('/')}/{experiment.name}/{run_id}"
    # What the command line changes is part of a new run's own config.
    changes = settings if run is not None else []
    patience = Patience(preemptions=limits[0], errors=limits[1], hang_s=60.0 * limits[2])
    outcome = Supervisor(
        [*PROGRAM, "train", source, *settings, "--run-id", run_id, *flags],
        [*PROGRAM, "train", place, "--resume", *changes, *flags],
        place,
        patience,
    ).run()
    raise typer.Exit(outcome.code)


def _experiment(
    source: str, overrides: list[str], resume: bool, run_id: str | None, trust_code: bool
) -> tuple[ExperimentConfig, str | None]:
    """Return what to train, and the run to continue if any."""
    is_run = "://" in source or Path(source).is_dir()
    if is_run and not resume:
        raise ConfigError(
            f"'{source}' is a {'store' if '://' in source else 'folder'}. Give a YAML file to "
            "start a run, or a run directory and --resume to continue one."
        )
    from roboyard.runs.resume import config_of, newest_run

    if is_run:
        return config_of(source, overrides, trust_code=trust_code), source
    experiment = load(source, overrides)
    if not resume:
        return experiment, None
    if run_id is not None:
        return experiment, f"{experiment.store.rstrip('/')}/{experiment.name}/{run_id}"
    return experiment, newest_run(experiment)


def _print_continued(run: str | None, experiment: ExperimentConfig) -> None:
    """Say which run is continued, if one is, how it stands, and which others wait."""
    if run is None:
        return
    from roboyard.runs.index import find_run, find_runs
    from roboyard.storage import open_store

    console = Console()
    try:
        summary = find_run(open_store(run))
        others = find_runs(open_store(experiment.store), experiment.name)
    except StorageError:
        return  # training says what is wrong
    total = experiment.train.total_steps
    line = f"Continuing {run}: {summary.state} at step {summary.step:,} of {total:,}."
    console.print(cell(line), soft_wrap=True)
    waiting = [each.run for each in others if each.state in ("interrupted", "lost", "failed")]
    waiting = [name for name in waiting if name.rpartition("/")[2] != Path(run).name]
    if summary.state == "finished" and summary.step >= total and waiting:
        other = f"{experiment.store.rstrip('/')}/{waiting[-1]}"
        line = f"It has ended; not at its end is: roboyard train {other} --resume"
        console.print(cell(line), soft_wrap=True)


def _print_result(result: TrainResult) -> None:
    from roboyard.training.data_parallel.launch import is_follower

    if is_follower():
        return  # its leader tells what came of the run
    console = Console()
    if result.state == "interrupted":
        console.print(cell(f"Interrupted at step {result.steps:,}: {result.reason}."))
        # The run, not the config: overrides of the command line are part of the run alone.
        console.print(cell(f"Continue with: roboyard train {result.uri} --resume"), soft_wrap=True)
        return
    finished = f"Finished after {result.steps:,} steps: {result.reason}."
    console.print(cell(finished), soft_wrap=True)
    if result.evaluation is not None:
        measured = result.evaluation
        console.print(
            f"Best policy: mean return {measured.mean:.1f} ± {measured.std:.1f} over "
            f"{len(measured.returns)} episodes.",
            soft_wrap=True,
        )
    console.print(_places(result.run_dir))


def _print_profile(run: Path) -> None:
    from roboyard.evaluation.breakdown import breakdown_rows, breakdown_summary
    from roboyard.evaluation.run_data import read_run
    from roboyard.runs.directory import RunDirectory

    profile = read_run(RunDirectory(run)).profile
    table = Table("phase", "share", "per control step", "what it is", box=None, padding=(0, 2))
    for row in breakdown_rows(profile):
        table.add_row(*map(cell, row))
    if profile:
        console = Console()
        console.print(cell(breakdown_summary(profile)), soft_wrap=True)
        console.print(table)


def _places(run: Path) -> Table:
    """Return a table of the run's files that exist."""
    candidates = {
        "policy": run / "policy" / "best.zip",
        "curve": run / "report" / "curve.png",
        "report": run / "report" / "report.md",
        "video": next(iter(sorted((run / "videos").glob("*.mp4"), reverse=True)), run / "videos"),
        "TensorBoard": run / "tensorboard",
        "everything": run,
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for what, path in candidates.items():
        if path.exists():
            table.add_row(what, cell(path))
    return table
