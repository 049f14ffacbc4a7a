"""``roboyard chaos``: lets things happen to a run and compares it with one left in peace."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from roboyard.cli.output import cell, echo
from roboyard.cli.train import PROGRAM
from roboyard.config.load import load

if TYPE_CHECKING:
    from roboyard.testing.chaos import ChaosReport

_NAMES = {
    "kill": "SIGKILL",
    "term": "SIGTERM",
    "notice": "spot notice",
    "disk": "full disk",
    "s3": "S3 fault",
    "freeze": "freeze beyond the lease",
    "corrupt": "damaged copy",
}


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
    faults: Annotated[
        str,
        typer.Option(
            help="What happens: any of kill, term, notice, disk, s3, freeze, corrupt, with commas "
            "between. With s3 and corrupt the run lives in a bucket; with s3, every death takes "
            "the machine's copy."
        ),
    ] = "kill,term",
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
        roboyard chaos configs/cartpole.yaml --faults kill,term,notice,disk,s3,freeze,corrupt
    """
    from roboyard.testing.chaos import FaultSchedule, Machine, run_chaos, train_command

    schedule = FaultSchedule.parse(kills, faults=faults, most=max_kills, seed=seed)
    settings = [*(overrides or []), "video.final=false"]
    experiment = load(config, settings)
    given = experiment.checkpoint
    if given.every_steps is None and given.every_minutes is None:
        settings += schedule.settings
    with _folder(keep) as folder, Machine(folder, schedule.faults, seed) as machine:
        settings += machine.settings
        command = train_command(PROGRAM, config, experiment.name, settings)
        report = run_chaos(command, experiment.name, machine, schedule, echo)
    _print(report)
    if not report.is_identical:
        raise typer.Exit(1)


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
        "faults": _faults(report) or "none",
        "steps": f"{report.steps:,}, of which {report.steps_repeated:,} were done twice",
        "time": f"{report.killed_s:.1f} s instead of {report.whole_s:.1f} s",
        "time lost": f"{report.lost_s:.1f} s ({overhead:.0%}), starts included",
        "written": f"{report.killed_bytes / 1e6:.1f} MB instead of {report.whole_bytes / 1e6:.1f}",
        "final weights": "identical" if report.same_weights else "DIFFERENT",
        "metrics": "identical" if report.same_metrics else "DIFFERENT",
        "evaluations": "identical" if report.same_evaluations else "DIFFERENT",
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(cell(name), cell(value))
    Console().print(table)


def _faults(report: ChaosReport) -> str:
    parts = [f"{count} {_NAMES[fault]}" for fault, count in report.faults.items()]
    if report.inside_writes:
        parts.append(f"{report.inside_writes} of them inside a checkpoint write")
    return ", ".join(parts)
