"""``roboyard config``: check a config, show it in full, print its schema."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from roboyard.cli.output import echo
from roboyard.errors import ConfigError, RoboyardError
from roboyard.text import shown

app = typer.Typer(
    help="Check, show and complete configs.", no_args_is_help=True, add_completion=False
)

_Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override one key, such as train.total_steps=1e5. Repeatable."),
]


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="YAML files.", show_default=False)],
    overrides: _Overrides = None,
    full: Annotated[
        bool, typer.Option("--full", help="Also train for a few steps, and throw that away.")
    ] = False,
) -> None:
    """Check configs: every key, type, range and combination.

    With --full, a few steps are trained, evaluated and thrown away, so that what training would
    refuse is refused now.
    Prints one line for each good file; all problems of all others, with file and line, and
    exit code 2.

    For example:

        roboyard config validate configs/cartpole.yaml

        roboyard config validate --full my.yaml --set agent.hyperparameters.learning_rate=1e-4
    """
    from roboyard.config.load import load

    problems: list[str] = []
    for file in files:
        try:
            config = load(file, overrides or [])
        except ConfigError as error:
            problems.append(str(error))
            continue
        try:
            if full:
                _rehearse(file, overrides or [])
        except RoboyardError as error:
            problems.append(f"{file}: {error}")
            continue
        what = f"{config.agent.algorithm} on {config.env.id}"
        echo(f"OK {file}: {what}, {config.train.total_steps:,} steps, seed {config.seed}")
    if problems:
        raise ConfigError("\n".join(problems))


def _rehearse(file: Path, overrides: list[str]) -> None:
    from roboyard.training.rehearsal import rehearse

    rehearse(file, overrides)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="YAML file.", show_default=False)],
    overrides: _Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Print a config in full: files it extends, variables, overrides and defaults filled in.

    The output is itself a config that gives the same run. What came from an environment variable
    is shown as the reference to it, such as ${env:TOKEN}.

    For example:

        roboyard config show configs/cartpole.yaml

        roboyard config show configs/cartpole.yaml --set seed=3 > resolved.yaml
    """
    from roboyard.config.load import as_written, load, to_yaml

    config = load(file, overrides or [])
    if as_json:
        _print(json.dumps(as_written(config), indent=2) + "\n", "json")
    else:
        _print(to_yaml(config), "yaml")


@app.command()
def schema() -> None:
    """Print the JSON schema of config files, with which editors complete keys.

    For example:

        roboyard config schema > roboyard.schema.json

    and as the first line of a config:

        # yaml-language-server: $schema=roboyard.schema.json
    """
    from roboyard.config.load import json_schema

    _print(json.dumps(json_schema(), indent=2) + "\n", "json")


def _print(text: str, language: str) -> None:
    """Print text: elsewhere byte for byte, on a terminal so that no character acts."""
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        text = shown(text)
    if not console.is_terminal or console.no_color:
        sys.stdout.write(text)
        return
    from rich.syntax import Syntax

    console.print(Syntax(text, language, background_color="default", word_wrap=True))
