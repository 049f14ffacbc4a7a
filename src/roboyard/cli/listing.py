"""``roboyard list``: what a config may name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from roboyard.cli.output import cell, echo
from roboyard.errors import ConfigError

app = typer.Typer(
    help="List environments, algorithms and configs.", no_args_is_help=True, add_completion=False
)


@app.command()
def environments(
    everything: Annotated[
        bool, typer.Option("--all", help="Also other packages' registered environments.")
    ] = False,
) -> None:
    """List the environments that ``env.id`` may name."""
    from roboyard.envs.factory import list_env_ids

    ids = list_env_ids()
    own = [name for name in ids if name.startswith("roboyard/")]
    for name in ids if everything else own:
        echo(name)
    if not everything:
        echo(f"({len(ids) - len(own)} more with --all, and any 'module:Class')", err=True)


@app.command()
def algorithms() -> None:
    """List the algorithms that ``agent.algorithm`` may name."""
    from roboyard.config.algorithm_specs import ALGORITHMS, AlgorithmSpec

    table = Table(box=None, pad_edge=False)
    for column in ("algorithm", "kind", "what it is"):
        table.add_column(column)
    for name in ALGORITHMS.names():
        spec = ALGORITHMS.entry(name)
        if isinstance(spec, AlgorithmSpec):
            table.add_row(*map(cell, (name, spec.kind, spec.summary)))
        else:
            table.add_row(cell(name), "", "registered by you")
    Console().print(table)


@app.command()
def configs(
    folder: Annotated[Path, typer.Argument(help="Folder with YAML files.")] = Path("configs"),
) -> None:
    """List the configs of a folder, with what each one trains."""
    from roboyard.config.load import load

    if not folder.is_dir():
        raise ConfigError(f"'{folder}' is not a folder. Give one that holds YAML configs.")
    table = Table(box=None, pad_edge=False)
    for column in ("config", "environment", "algorithm", "steps"):
        table.add_column(column)
    for path in sorted(folder.rglob("*.yaml")):
        try:
            config = load(path)
        except ConfigError as error:
            reason = str(error).splitlines()[0]
            table.add_row(cell(path), cell(f"does not load: {reason}", "red"))
            continue
        steps = f"{config.train.total_steps:,}"
        table.add_row(*map(cell, (path, config.env.id, config.agent.algorithm, steps)))
    Console().print(table)
