"""``roboyard init``: write a commented first config."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from roboyard.cli.output import echo
from roboyard.errors import ConfigError


def init(
    file: Annotated[Path, typer.Argument(help="File to write.")] = Path("experiment.yaml"),
    algorithm: Annotated[
        str, typer.Option(help="Algorithm: one of 'roboyard list algorithms', or 'module:Class'.")
    ] = "PPO",
    env: Annotated[
        str, typer.Option(help="Environment: one of 'roboyard list environments --all'.")
    ] = "roboyard/SimpleRobot-v0",
) -> None:
    """Write a commented starter config that shows every key with its default.

    An existing file is never overwritten.

    For example:

        roboyard init

        roboyard init pendulum.yaml --algorithm SAC --env Pendulum-v1
    """
    from roboyard.config.starter import starter
    from roboyard.storage.atomic import write_text

    if file.is_dir():
        raise ConfigError(f"'{file}' is a folder. Give a file name, such as '{file}/my.yaml'.")
    if file.exists() or file.is_symlink():
        raise ConfigError(f"'{file}' exists already. Give another name, or remove it first.")
    write_text(file, starter(str(file), algorithm, env))
    echo(f"wrote {file}; next: roboyard train {shlex.quote(str(file))}")
