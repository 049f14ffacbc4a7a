"""``roboyard cloud``: fleets of spot machines."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from roboyard.cli.output import echo

app = typer.Typer(
    help="Rehearse a fleet of spot machines; run on one of its instances.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
def agent(
    bucket: Annotated[str, typer.Option("--bucket", help="Bucket of the submission.")],
    submission: Annotated[str, typer.Option("--submission", help="Name of the submission.")],
) -> None:
    """Drive a submission's run on this instance; started by the instance's user data."""
    from roboyard.cloud.agent.metadata import instance_id
    from roboyard.cloud.agent.single import SingleAgent
    from roboyard.cloud.capacity import SpotFleetCapacity
    from roboyard.cloud.layout import SubmissionPlaces, check_name
    from roboyard.cloud.session import AwsSession

    layout = SubmissionPlaces(bucket, check_name(submission))
    capacity = SpotFleetCapacity(AwsSession())
    folder = Path(tempfile.mkdtemp(prefix="roboyard-agent-"))
    code = SingleAgent(layout, instance_id(), capacity, folder).run()
    echo(f"the agent ends with code {code}")
    raise typer.Exit(code)


@app.command()
def rehearse(
    config: Annotated[Path, typer.Argument(help="YAML file to train.", show_default=False)],
    *,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change one key. Repeatable.")
    ] = None,
    interruptions: Annotated[
        str, typer.Option("--interruptions", help="Seconds of notice of each; 'none' is without.")
    ] = "20,none",
    every: Annotated[
        float, typer.Option("--every", min=0.1, help="Mean time of training between two [s].")
    ] = 10.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the moments.")] = 0,
    limit: Annotated[float, typer.Option("--limit", help="Minutes until it is given up.")] = 30.0,
) -> None:
    """Train on a fleet of one spot machine that is interrupted, all of it on this machine.

    AWS is emulated, and costs nothing; the instance's own script, agent and trainer are the real
    ones. Ends with exit code 0 only if the run has finished, its result was published once, no
    instance is left and the fleet is cancelled.
    """
    from roboyard.cloud.rehearsal.rehearse import rehearse as rehearsed
    from roboyard.config.load import load

    experiment = load(config, overrides or [])
    with tempfile.TemporaryDirectory(prefix="roboyard-rehearsal-") as folder:
        found = rehearsed(
            experiment,
            Path(folder),
            notices=_notices(interruptions),
            every_s=every,
            seed=seed,
            limit_s=60.0 * limit,
            tell=echo,
        )
    if not found.is_good:
        echo(found.console, err=True)
    echo(found.summary())
    raise typer.Exit(0 if found.is_good else 1)


def _notices(text: str) -> tuple[float | None, ...]:
    from roboyard.errors import ConfigError

    try:
        words = [word.strip() for word in text.split(",") if word.strip()]
        return tuple(None if word == "none" else float(word) for word in words)
    except ValueError:
        raise ConfigError(
            f"--interruptions '{text}': give seconds of notice, and none for none, as in 20,none."
        ) from None
