"""``roboyard train``: one run, from a YAML file to a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError

if TYPE_CHECKING:
    from roboyard.training.trainer import TrainResult


def train(
    config: Annotated[
        str,
        typer.Argument(
            help="YAML file; or, with --resume, a run: its directory or s3://bucket/prefix/name/id."
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one key, such as train.total_steps=1e5. Repeatable."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue a run exactly: this one, or the config's newest."),
    ] = False,
    run_id: Annotated[
        str | None, typer.Option("--run-id", help="Name of the run directory; else the time.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Train a policy.

    Everything lands in one run directory: checkpoints, the best and the last policy, metrics,
    TensorBoard files, evaluations, a video and a report. Ctrl-C stops with a checkpoint and
    exit code 75; --resume continues exactly there.

    For example:

        roboyard train configs/cartpole.yaml

        roboyard train configs/cartpole.yaml --set seed=1 --set train.total_steps=5e4

        roboyard train configs/cartpole.yaml --resume
    """
    experiment, run = _experiment(config, overrides or [], resume, run_id)
    from roboyard.training.trainer import Trainer

    trainer = Trainer(experiment, run_id=run_id, resume_from=run, progress=not quiet)
    result = trainer.train()
    _print_result(result)
    raise typer.Exit(result.exit_code)


def _experiment(
    source: str, overrides: list[str], resume: bool, run_id: str | None
) -> tuple[ExperimentConfig, str | None]:
    """Return what to train, and the run to continue if any."""
    is_run = "://" in source or Path(source).is_dir()
    if is_run and not resume:
        raise ConfigError(
            f"'{source}' is a {'store' if '://' in source else 'folder'}. Give a YAML file to "
            "start a run, or a run directory and --resume to continue one."
        )
    from roboyard.training.resume import config_of, newest_run

    if is_run:
        return config_of(source, overrides), source
    experiment = load(source, overrides)
    if not resume:
        return experiment, None
    if run_id is not None:
        return experiment, f"{experiment.store.rstrip('/')}/{experiment.name}/{run_id}"
    return experiment, newest_run(experiment)


def _print_result(result: TrainResult) -> None:
    console = Console()
    if result.state == "interrupted":
        console.print(f"Interrupted at step {result.steps:,}: {result.reason}.")
        # The run, not the config: overrides of the command line are part of the run alone.
        console.print(f"Continue with: roboyard train {result.uri} --resume", soft_wrap=True)
        return
    console.print(f"Finished after {result.steps:,} steps: {result.reason}.", soft_wrap=True)
    if result.evaluation is not None:
        measured = result.evaluation
        console.print(
            f"Best policy: mean return {measured.mean:.1f} ± {measured.std:.1f} over "
            f"{len(measured.returns)} episodes.",
            soft_wrap=True,
        )
    console.print(_places(result.run_dir))


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
            table.add_row(what, str(path))
    return table
