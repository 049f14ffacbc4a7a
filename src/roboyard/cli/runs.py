"""``roboyard runs``: look at runs, fetch them, check them, tidy up; folders and buckets alike."""

from __future__ import annotations

import datetime
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from roboyard.cli.output import cell, echo

if TYPE_CHECKING:
    from roboyard.runs.index import RunSummary

app = typer.Typer(
    help="List, show, fetch, verify and prune runs, in folders and in s3:// buckets.",
    no_args_is_help=True,
    add_completion=False,
)

_Store = Annotated[str, typer.Argument(help="A folder or s3://bucket/prefix that holds runs.")]
_Run = Annotated[str, typer.Argument(help="A run: its folder or s3://bucket/prefix/name/run-id.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
_COLOURS = {"running": "green", "finished": "cyan", "failed": "red", "lost": "red"}


class Wanted(StrEnum):
    """Which checkpoints to fetch."""

    LATEST = "latest"
    ALL = "all"
    NONE = "none"


@app.command("list")
def list_runs(store: _Store = "runs", as_json: _Json = False) -> None:
    """List the runs of a store, with how they really are.

    A run that says it is running, but whose process gives no sign of life, is shown as lost.
    """
    from roboyard.runs.index import find_runs
    from roboyard.storage import open_store

    opened = open_store(store)
    runs = find_runs(opened)
    if as_json:
        _print_json([run.to_dict() for run in runs])
        return
    if not runs:
        echo(f"no runs in {opened.uri}", err=True)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("run", "state", "step", "checkpoint", "last sign of life", "size"):
        table.add_column(column, no_wrap=column == "run")
    for run in runs:
        table.add_row(*_row(run))
    # Other programs that read the table must not get lines folded to 80 columns.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command()
def show(run: _Run, as_json: _Json = False) -> None:
    """Show how one run is."""
    from roboyard.runs.index import find_run
    from roboyard.storage import open_store

    store = open_store(run)
    summary = find_run(store)
    if as_json:
        _print_json(summary.to_dict() | {"uri": store.uri})
        return
    newest = ", ".join(f"{step:,}" for step in summary.checkpoints) or "none"
    lines = {
        "run": store.uri,
        "state": summary.state + (f" ({summary.reason})" if summary.reason else ""),
        "step": f"{summary.step:,}",
        "checkpoints": newest,
        "last sign of life": _ago(summary.age_s),
        "driver": summary.driver or "none yet",
        "size": _size(summary.bytes),
    }
    for name, value in lines.items():
        echo(f"{name + ':':19} {value}")


@app.command()
def pull(
    run: _Run,
    to: Annotated[
        Path | None, typer.Argument(help="Folder to fill; by default runs/<name>/<run-id>.")
    ] = None,
    checkpoints: Annotated[
        Wanted, typer.Option(help="Which checkpoints to fetch.")
    ] = Wanted.LATEST,
) -> None:
    """Fetch a run, ready to be looked at or continued.

    Everything is verified; what is there already is not fetched again. A damaged checkpoint
    is skipped with a warning and an older one taken.

    So a run goes on elsewhere with two commands:

        roboyard runs pull s3://bucket/runs/ant/20260101-120000

        roboyard train runs/ant/20260101-120000 --resume
    """
    from roboyard.storage import open_store
    from roboyard.storage.mirror.pull import pull as fetch

    store = open_store(run)
    target = to or Path("runs", *store.uri.split("/")[-2:])
    report = fetch(store, "", target, checkpoints=checkpoints.value)
    for problem in report.problems:
        echo(f"warning: skipped {problem}", err=True)
    at = f", checkpoint at step {report.checkpoint:,}" if report.checkpoint is not None else ""
    echo(f"{target}: {report.files} files, {_size(report.bytes)}{at}")


@app.command()
def verify(run: _Run, as_json: _Json = False) -> None:
    """Read every file of a run and compare it with its checksums; exit code 1 if one is bad."""
    from roboyard.runs.audit import verify_run
    from roboyard.storage import open_store
    from roboyard.storage.mirror.run_layout import step_of

    audit = verify_run(open_store(run))
    if as_json:
        problems = [problem._asdict() for problem in audit.problems]
        _print_json(audit._asdict() | {"problems": problems})
    else:
        for problem in audit.problems:
            echo(f"{problem.key}: {problem.text}")
        for folder in audit.remains:
            echo(f"note: {folder} was never finished; nobody reads it ('runs prune' tidies)")
        count = len(audit.checkpoints)
        newest = f", the newest at step {step_of(audit.checkpoints[0]):,}" if count else ""
        echo(
            f"files read: {audit.files}; problems: {len(audit.problems)}; "
            f"intact checkpoints: {count}{newest}"
        )
    if audit.problems:
        raise typer.Exit(1)


@app.command()
def prune(
    store: Annotated[str, typer.Argument(help="A run, or a store that holds runs.")],
    keep: Annotated[int, typer.Option(min=0, help="Complete checkpoints to keep of each run.")] = 1,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only say what.")] = False,
) -> None:
    """Remove old checkpoints of runs that have stopped, and remains of unfinished ones.

    Policies, metrics and everything else stay.
    """
    from roboyard.runs.audit import prune_run
    from roboyard.runs.index import find_runs
    from roboyard.storage import open_store

    opened, total = open_store(store), 0
    runs = find_runs(opened)
    if not runs:
        echo(f"no runs in {opened.uri}", err=True)
    for run in runs:
        name = run.run or opened.uri
        if run.is_alive:
            echo(f"{name}: left alone, it is running")
            continue
        pruning = prune_run(opened, run.run, keep=keep, dry_run=not yes)
        total += pruning.bytes
        for folder in pruning.folders:
            echo(f"{name}: {folder}")
    done = "removed" if yes else "would be removed; add --yes to remove it"
    echo(f"{_size(total)} {done}")


def _row(run: RunSummary) -> tuple[Text, ...]:
    colour = _COLOURS.get(run.state, "yellow")
    newest = f"{run.checkpoints[0]:,}" if run.checkpoints else "-"
    rest = (f"{run.step:,}", newest, _ago(run.age_s), _size(run.bytes))
    return cell(run.run or "."), cell(run.state, colour), *map(cell, rest)


def _ago(seconds: float) -> str:
    """Return how long ago, to the second, as people say it."""
    return f"{datetime.timedelta(seconds=int(seconds))} ago"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _print_json(value: object) -> None:
    echo(json.dumps(value, indent=2))
