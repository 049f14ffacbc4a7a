"""``roboyard tune``: search for hyperparameters."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from roboyard.cli.experiment import EXIT_CONTINUE, Address
from roboyard.cli.output import echo


def tune(
    source: Annotated[
        str, typer.Argument(help="YAML file; or a search to continue: its folder or s3://...")
    ],
    *,
    address: Address = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Only go on with what is recorded at SOURCE.")
    ] = False,
) -> None:
    """Search for the best values of some of a config's keys.

    Every trial is an ordinary run. The best config is written as a YAML file that 'roboyard train'
    runs as it is. Ctrl-C stops all trials with checkpoints; the same command continues.

    For example:

        roboyard tune search.yaml

        roboyard tune s3://bucket/runs/cartpole-search --resume
    """
    from roboyard.errors import ConfigError
    from roboyard.tuning.experiment import is_recorded
    from roboyard.tuning.search import search

    if resume and not is_recorded(source):
        raise ConfigError(f"--resume continues a recorded search, and '{source}' is a file.")
    logging.basicConfig(format="%(levelname)s: %(message)s")
    try:
        result = search(source, address=address, listener=_print_result)
    except KeyboardInterrupt:
        echo("interrupted; the same command continues every trial.", err=True)
        raise typer.Exit(EXIT_CONTINUE) from None
    counts = ", ".join(f"{count} {state}" for state, count in sorted(result.trials.items()))
    echo(f"{sum(result.trials.values())} trials: {counts}.")
    if not result.best_config:
        echo("no trial ran to its end; there is no best config.", err=True)
        raise typer.Exit(1)
    reached = ", ".join(f"{value:.5g}" for value in result.objectives)
    echo(f"best: {reached}")
    for key, value in result.values.items():
        echo(f"  {key}: {value}")
    echo(f"train it with: roboyard train {result.best_config}")


def _print_result(result: Mapping[str, Any]) -> None:
    numbers = ", ".join(
        f"{key} {value:.5g}"
        for key, value in result.items()
        if key in ("return", "success_rate") and isinstance(value, int | float)
    )
    state = "ended" if result.get("ended") else "at"
    echo(f"trial {result['number']}: {state} step {result['steps']:,}, {numbers}")
