"""The command line: mounts one file a subcommand and prints errors in one line."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from roboyard import __version__
from roboyard.cli import (
    bench,
    chaos,
    config,
    doctor,
    evaluate,
    experiment,
    export,
    image,
    init,
    listing,
    play,
    policy,
    robot,
    runs,
    serve,
    sim2sim,
    task,
    train,
    tune,
)
from roboyard.cli.output import echo
from roboyard.errors import RoboyardError

_HELP = """From a robot description and one YAML file to a trained, measured, deployable policy.

Start with: roboyard init my.yaml; roboyard train my.yaml; roboyard evaluate runs/my/<run-id>
"""

app = typer.Typer(
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        echo(f"roboyard {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    del version  # Unused.
    if debug:
        os.environ["ROBOYARD_DEBUG"] = "1"


app.command()(train.train)
app.command()(tune.tune)
app.command()(bench.bench)
app.command()(chaos.chaos)
app.command()(evaluate.evaluate)
app.command()(play.play)
app.command()(export.export)
app.command()(serve.serve)
app.command()(sim2sim.sim2sim)
app.command()(init.init)
app.command()(doctor.doctor)
app.add_typer(experiment.app, name="experiment")
app.add_typer(listing.app, name="list")
app.add_typer(config.app, name="config")
app.add_typer(image.app, name="image")
app.add_typer(runs.app, name="runs")
app.add_typer(policy.app, name="policy")
app.add_typer(robot.app, name="robot")
app.add_typer(task.app, name="task")


def run() -> None:
    """Run the command line; an expected error is one line on stderr and an exit code.

    Exit codes: 0 done, 1 failure, 2 the user's mistake, 75 interrupted and can be continued,
    77 another process has taken the run over, 130 aborted with Ctrl-C.
    """
    try:
        app()
    except RoboyardError as error:
        if os.environ.get("ROBOYARD_DEBUG"):
            raise
        echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        echo("aborted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (as in `| head`); that is not our failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
