"""``roboyard task``: look at a task before training."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from roboyard.cli.output import cell, echo
from roboyard.errors import ConfigError

if TYPE_CHECKING:
    from roboyard.envs.describe import TaskDescription, TermRow
    from roboyard.envs.task_env import TaskEnv

app = typer.Typer(
    help="Look at tasks: terms, spaces, rates.", no_args_is_help=True, add_completion=False
)


@app.command("list")
def list_tasks() -> None:
    """List the tasks of the library."""
    from roboyard.envs.tasks import list_tasks as names
    from roboyard.envs.tasks import load_task

    table = _table("task", "what is to be learnt")
    for name in names():
        table.add_row(name, cell(load_task(name).description))
    _print(table)


@app.command()
def show(
    task: Annotated[
        str,
        typer.Argument(help="Task of the library, YAML file of a task, or config of a run."),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override one key of a run's config. Repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Show a task's resolved terms, its spaces entry by entry, and its rates.

    For example:

        roboyard task show hopper-run

        roboyard task show my.yaml --set env.task.rewards.alive.weight=2
    """
    from roboyard.envs.describe import describe_task

    env = _environment(task, overrides or [])
    try:
        described = describe_task(env)
    finally:
        env.close()
    if as_json:
        echo(json.dumps(_record(described), indent=2, default=list))
        return
    echo(f"{task}: {described.description}")
    echo(f"robot: {described.robot}")
    for name, value in described.rates.items():
        echo(f"{name}: {value}")
    for place, rows in described.terms.items():
        if rows:
            echo(f"\n{place}")
            _print(_term_table(rows))
    _print_spaces(described)


def _environment(task: str, overrides: list[str]) -> TaskEnv:
    from roboyard.config.files import read_file
    from roboyard.config.load import load
    from roboyard.envs.factory import make_env
    from roboyard.envs.task_env import TaskEnv

    is_file = task.endswith((".yaml", ".yml"))
    if not is_file or read_file(Path(task)).child("env") is None:
        if overrides:
            raise ConfigError("--set overrides keys of a run's config; this is a task.")
        return TaskEnv(task)
    config = load(task, overrides).env
    env = make_env(config)
    if not isinstance(env, TaskEnv):
        env.close()
        raise ConfigError(
            f"'{task}' trains on '{config.id}', which is no task of terms. Tasks are listed by: "
            "roboyard task list"
        )
    return env


def _term_table(rows: list[TermRow]) -> Table:
    settings = list(dict.fromkeys(key for row in rows for key in _shown(row)))
    table = _table("name", "term", "unit", *settings, "parameters")
    for row in rows:
        values = _shown(row)
        params = ", ".join(f"{name}={_text(value)}" for name, value in row.params.items())
        cells = (row.name, row.term, row.unit, *(_text(values.get(key)) for key in settings))
        table.add_row(*map(cell, (*cells, params)))
    return table


def _shown(row: TermRow) -> dict[str, Any]:
    """Return the settings that say something."""
    return {key: value for key, value in row.settings.items() if value is not None}


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _print_spaces(described: TaskDescription) -> None:
    for group, entries in described.observations.items():
        echo(f"\n{group}: shape {described.shapes[group]}")
        if entries:
            table = _table("entry", "name", "unit")
            for index, entry in enumerate(entries):
                table.add_row(str(index), cell(entry.name), entry.unit or "1")
            _print(table)
    echo(f"\naction: {len(described.actions)} entries in [-1, 1]")
    table = _table("entry", "joint", "control", "becomes", "unit")
    for index, row in enumerate(described.actions):
        becomes = f"{row.offset:g} + {row.scale:g} a" if row.offset else f"{row.scale:g} a"
        table.add_row(str(index), cell(row.name), cell(row.control), cell(becomes), cell(row.unit))
    _print(table)


def _record(described: TaskDescription) -> dict[str, object]:
    record: dict[str, object] = described._asdict()
    record["observations"] = {
        group: [entry._asdict() for entry in entries]
        for group, entries in described.observations.items()
    }
    record["actions"] = [row._asdict() for row in described.actions]
    record["terms"] = {
        place: [row._asdict() for row in rows] for place, rows in described.terms.items()
    }
    return record


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _print(table: Table) -> None:
    # Other programs that read the table must not get lines folded to 80 columns.
    Console(width=None if sys.stdout.isatty() else 200).print(table)
