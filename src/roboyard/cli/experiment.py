"""``roboyard experiment``: many runs of one study, on this machine or a cluster."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from roboyard.cli.output import echo
from roboyard.cli.tables import markdown_table

if TYPE_CHECKING:
    from roboyard.tuning.costs import MachineSpeed

app = typer.Typer(
    help="Run, watch and compare experiments: several seeds and variants of one config.",
    no_args_is_help=True,
    add_completion=False,
)

Address = Annotated[
    str | None,
    typer.Option(help="An existing Ray cluster, host:port or auto; else a local Ray is started."),
]
_Experiment = Annotated[str, typer.Argument(help="An experiment: its folder or s3://bucket/...")]
_Record = Annotated[
    Path | None, typer.Option("--bench", help="Record of 'roboyard bench --json', for costs.")
]
_MachineType = Annotated[
    str | None,
    typer.Option("--machine", help="Machine type in that record; else the cheapest."),
]
EXIT_CONTINUE = 75


@app.command()
def run(
    source: Annotated[
        str, typer.Argument(help="YAML file; or an experiment to continue: its folder or s3://...")
    ],
    *,
    address: Address = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Only go on with what is recorded at SOURCE.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run, where and for how much.")
    ] = False,
    bench: _Record = None,
    machine: _MachineType = None,
) -> None:
    """Run every seed of every variant; finished runs are skipped, others continue exactly.

    Ctrl-C stops all runs with checkpoints and exit code 75; the same command continues them.

    For example:

        roboyard experiment run study.yaml

        roboyard experiment run s3://bucket/runs/hopper-study --resume
    """
    from roboyard.errors import ConfigError
    from roboyard.tuning.experiment import experiment, planned
    from roboyard.tuning.live_table import LiveTable, summary_lines

    if resume and Path(source).is_file():
        raise ConfigError(
            f"--resume continues a recorded experiment, and '{source}' is a file. Give its folder, "
            "such as runs/hopper-study, or leave out --resume: a file continues, too."
        )
    kind = _machine(bench, machine)
    if dry_run:
        _dry_run(source, address, kind)
        return
    logging.basicConfig(format="%(levelname)s: %(message)s")
    console = Console()
    board = LiveTable(console, kind.price_of(planned(source).resources) if kind else None)
    try:
        with board.shown():
            result = experiment(source, address=address, listener=board.update)
    except KeyboardInterrupt:
        echo("interrupted; the same command continues every run.", err=True)
        raise typer.Exit(EXIT_CONTINUE) from None
    for line in summary_lines(result.runs):
        echo(line)
    if result.report:
        echo(f"comparison: {result.report}/comparison.md")
    if result.failed:
        raise typer.Exit(1)


@app.command()
def status(
    experiment: _Experiment,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Show how every run of an experiment is."""
    from roboyard.tuning.experiment_record import read_ledger

    ledger = read_ledger(experiment)
    found = ledger.summaries()
    rows = [
        {"run": run.run_id, "state": "queued", "step": 0, "total": run.config.train.total_steps}
        | ({"state": s.state, "step": s.step, "reason": s.reason, "driver": s.driver} if s else {})
        for run in ledger.runs
        for s in [found.get(run.run_id)]
    ]
    if as_json:
        echo(json.dumps(rows, indent=2))
        return
    texts = [
        [str(r["run"]), str(r["state"]), f"{r['step']:,}", f"{r['total']:,}", _reason(r)]
        for r in rows
    ]
    echo(markdown_table(["run", "state", "step", "of", "reason"], texts))


@app.command()
def report(experiment: _Experiment) -> None:
    """Write the comparison of an experiment's variants anew, from what there is by now."""
    from roboyard.tuning.comparison import write_comparison
    from roboyard.tuning.experiment_record import read_ledger

    echo(f"{write_comparison([read_ledger(experiment)])}/comparison.md")


@app.command()
def compare(
    experiments: Annotated[list[str], typer.Argument(help="Two or more experiments.")],
) -> None:
    """Compare the variants of several experiments; the files go to the first one's report."""
    from roboyard.errors import ConfigError
    from roboyard.tuning.comparison import write_comparison
    from roboyard.tuning.experiment_record import read_ledger

    if len(experiments) < 2:
        raise ConfigError(
            "compare needs two experiments or more; 'report' compares one's variants."
        )
    ledgers = [read_ledger(source) for source in experiments]
    echo(f"{write_comparison(ledgers)}/comparison.md")


def _reason(row: dict[str, object]) -> str:
    return str(row.get("reason") or "-")


def _machine(record: Path | None, name: str | None) -> MachineSpeed | None:
    from roboyard.errors import ConfigError
    from roboyard.tuning.costs import read_machine

    if record is None:
        if name is not None:
            raise ConfigError("--machine needs --bench RECORD, which has the machines' prices.")
        return None
    return read_machine(record, name)


def _dry_run(source: str, address: str | None, machine: MachineSpeed | None) -> None:
    from roboyard.tuning.experiment import planned, where_it_fits

    ledger = planned(source)
    heads = ["run", "steps", "cpus", "gpus", *["hours", "cost"] * (machine is not None)]
    rows, total = [], 0.0
    for run_ in ledger.runs:
        needs = ledger.resources
        row = [run_.run_id, f"{run_.config.train.total_steps:,}", f"{needs.cpus:g}"]
        row.append(f"{needs.gpus:g}")
        if machine is not None:
            hours = machine.hours(run_, needs)
            cost = hours * machine.price_of(needs)
            total += cost
            row += [f"{hours:.2f}", f"{cost:.3f}"]
        rows.append(row)
    echo(markdown_table(heads, rows))
    echo(f"{len(rows)} runs; {where_it_fits(ledger, address)}")
    if machine is not None:
        echo(
            f"All together about {total:.2f} on {machine.name}, at the measured "
            f"{machine.steps_per_core_s:,.0f} steps/s a core, without starts and interruptions."
        )
    Console().print("Nothing was started.")
