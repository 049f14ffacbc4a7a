"""``roboyard chaos``: kills a run at random moments and compares it with one left in peace."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from roboyard.cli.train import PROGRAM
from roboyard.config.load import load
from roboyard.config.schema import ExperimentConfig

if TYPE_CHECKING:
    from roboyard.training.chaos import ChaosReport, Kills


def chaos(
    config: Annotated[Path, typer.Argument(help="YAML file of the run.")],
    *,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one key, such as train.total_steps=1e4. Repeatable."),
    ] = None,
    kills: Annotated[
        str, typer.Option(help="Time from a process's first step to its death.")
    ] = "poisson:5s",
    max_kills: Annotated[int, typer.Option(min=0, help="Then the run is left in peace.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the moments of death.")] = 0,
    keep: Annotated[
        Path | None, typer.Option(help="Folder that keeps both runs; else they are removed.")
    ] = None,
) -> None:
    """Train a config twice, once killed again and again, and compare the results bit for bit.

    Exit code 1 if they differ.

    For example:

        roboyard chaos configs/cartpole.yaml --kills poisson:5s --set train.total_steps=20000
    """
    from roboyard.training.chaos import Kills, run_chaos

    schedule = Kills.parse(kills, most=max_kills, seed=seed)
    settings = [*(overrides or []), "video.final=false"]
    experiment = load(config, settings)
    settings += _interval(experiment, schedule)
    with _folder(keep) as store:
        settings.append(f"store={store}")
        options = [text for setting in settings for text in ("--set", setting)]

        def command(run_id: str, resume: bool) -> list[str]:
            run = str(store / experiment.name / run_id)
            given = [run, "--resume"] if resume else [str(config), *options, "--run-id", run_id]
            return [*PROGRAM, "train", *given, "--quiet"]

        report = run_chaos(command, store / experiment.name, schedule, typer.echo)
    _print(report)
    if not report.is_identical:
        raise typer.Exit(1)


def _interval(experiment: ExperimentConfig, kills: Kills) -> list[str]:
    """Return settings by which the run gets on between two kills, unless it has its own."""
    given = experiment.checkpoint
    if given.every_steps is not None or given.every_minutes is not None:
        return []
    return [f"checkpoint.every_minutes={kills.mean_s / 60 / 3:.6f}"]


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="roboyard-chaos-") as folder:
        yield Path(folder)


def _print(report: ChaosReport) -> None:
    overhead = report.lost_s / report.whole_s
    rows = {
        "kills": f"{report.kills} SIGKILL, {report.terms} SIGTERM",
        "steps": f"{report.steps:,}, of which {report.steps_repeated:,} were done twice",
        "time": f"{report.killed_s:.1f} s instead of {report.whole_s:.1f} s",
        "time lost": f"{report.lost_s:.1f} s ({overhead:.0%}), starts included",
        "written": f"{report.killed_bytes / 1e6:.1f} MB instead of {report.whole_bytes / 1e6:.1f}",
        "final weights": "identical" if report.same_weights else "DIFFERENT",
        "metrics and evaluations": "identical" if report.same_records else "DIFFERENT",
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)
