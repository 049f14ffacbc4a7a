"""``roboyard experiment``: many runs of one study, on this machine or a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="Run, watch and compare experiments: several seeds and variants of one config.",
    no_args_is_help=True,
)

_Address = Annotated[
    str | None,
    typer.Option(help="An existing Ray cluster, host:port or auto; else a local Ray is started."),
]


@app.command()
def run(
    source: Annotated[
        str, typer.Argument(help="YAML file; or an experiment to continue: its folder or s3://...")
    ],
    *,
    address: _Address = None,
) -> None:
    """Run every seed of every variant; finished runs are skipped, others continue exactly.

    Ctrl-C stops all runs with checkpoints and exit code 75; the same command continues them.

    For example:

        roboyard experiment run study.yaml

        roboyard experiment run s3://bucket/runs/hopper-study
    """
    from roboyard.tuning.experiment import experiment

    result = experiment(
        source,
        address=address,
        listener=lambda r: typer.echo(
            f"{r.run.run_id} {r.state} {r.step} {r.value} {r.node} {r.reason}"
        ),
    )
    typer.echo(f"{len(result.runs) - len(result.failed)} of {len(result.runs)} runs finished.")
    if result.failed:
        raise typer.Exit(1)
