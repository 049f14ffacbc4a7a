"""``roboyard bench``: the fastest setting of a config on this machine, and what steps cost."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from roboyard.cli.output import echo
from roboyard.cli.tables import markdown_table
from roboyard.errors import ConfigError

if TYPE_CHECKING:
    from roboyard.bench.costs import Cost
    from roboyard.bench.search import Result, Row

BUSY_PERCENT = 10.0
"""Use of the processors by others from which on the figures mean little."""


def bench(
    config: Annotated[str, typer.Argument(help="YAML file.")],
    *,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change one key first. Repeatable.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="Time for all measurements.")] = 1.0,
    seconds: Annotated[
        float | None, typer.Option(min=1.0, help="The same in seconds, instead of --minutes.")
    ] = None,
    prices: Annotated[
        bool, typer.Option("--prices", help="Estimate costs with the shipped price table.")
    ] = False,
    price_table: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The same with your own: CSV, YAML or JSON."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write everything there, too.")
    ] = None,
) -> None:
    """Measure how fast a config trains here, by setting, and say which setting is best.

    Each setting trains for a few seconds on the real training path and leaves nothing behind.
    Settings with which a run's result would differ are marked and never recommended silently.

    For example:

        roboyard bench configs/ant-run.yaml

        roboyard bench configs/ant-run.yaml --minutes 3 --prices --json bench.json
    """
    from roboyard.bench.costs import costs
    from roboyard.bench.prices import load_prices
    from roboyard.config.load import load

    load(config, overrides or [])  # what is wrong shows before any waiting
    table = load_prices(price_table) if prices or price_table is not None else None
    if json_file is not None and not json_file.parent.is_dir():
        raise ConfigError(f"--json {json_file}: there is no folder '{json_file.parent}'.")
    warning = _machine()
    result = _search(config, overrides or [], seconds or 60.0 * minutes)
    estimates = [] if table is None else costs(table.prices, result.steps_per_core_s)
    _print_rows(result)
    _print_best(config, overrides or [], result)
    if estimates:
        _print_costs(estimates, result.steps_per_core_s)
    if json_file is not None:
        from roboyard.bench.record import record
        from roboyard.storage import atomic

        atomic.write_json(json_file, record(config, overrides or [], warning, result, estimates))
        echo(f"Written to {json_file}.")


def _machine() -> str:
    """Describe the machine and warn if others use it; return the warning."""
    import psutil

    from roboyard.resources import available_cores
    from roboyard.runs.provenance import host_facts

    busy, load = psutil.cpu_percent(interval=0.5), psutil.getloadavg()[0]
    cores = available_cores()
    echo(f"{host_facts()['processor']}, {cores} usable cores, load {load:.1f}.")
    if busy < BUSY_PERCENT:
        return ""
    warning = (
        f"The machine is busy: others use {busy:.0f} % of its processors (load {load:.1f}). "
        "The figures are too low and the choice may be wrong; repeat this when it is quiet."
    )
    echo(f"warning: {warning}", err=True)
    return warning


def _search(config: str, overrides: list[str], seconds: float) -> Result:
    from roboyard.bench.search import Search

    errors = Console(stderr=True)
    with _quiet(), _stoppable(), errors.status("measuring") as status:
        return Search(
            config, overrides, seconds, lambda what: status.update(f"measuring: {what}")
        ).run()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the log of the many short runs off the terminal."""
    logger = logging.getLogger("roboyard")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does, so that no temporary file stays."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _print_rows(result: Result) -> None:
    """Print what was measured, fastest first, and where the time of each setting goes."""
    rows = sorted(result.rows, key=lambda row: -row.steps_per_s)
    own, marks = result.rows[0], dict[str, str]()
    heads = ["#", "envs", "workers", "threads", "backend", "device", "steps/s", "gain", "result"]
    cells = [
        [
            str(number),
            *(str(value) for value in dataclasses.astuple(row.setting)[:5]),
            f"{row.steps_per_s:,.0f}",
            f"{row.steps_per_s / own.steps_per_s:.2f}",
            "own setting" if row is own else _mark(marks, row),
        ]
        for number, row in enumerate(rows, start=1)
    ]
    echo(f"\n{markdown_table(heads, cells)}\n")
    for effect, mark in marks.items():
        echo(f"{mark}: {effect}.")
    echo(f"Device {own.setting.device}: {own.setting.device_reason}.")
    echo(f"\n{_breakdown(rows)}\n")
    for note in result.notes:
        echo(f"- {note}")


def _breakdown(rows: list[Row]) -> str:
    """Return the shares of the phases as a table; the numbers of its rows are the first one's."""
    from roboyard.evaluation.breakdown import PHASES

    names = [name for name in PHASES if any(name in row.profile.phases for row in rows)]
    shares = [
        [f"{row.profile.phases.get(name, 0.0) / row.profile.wall_s:.0%}" for name in names]
        for row in rows
    ]
    cells = [[str(number), *row] for number, row in enumerate(shares, start=1)]
    return markdown_table(["#", *names], cells)


def _mark(marks: dict[str, str], row: Row) -> str:
    """Return the short name of what a setting does to the result, and note what it means."""
    return marks.setdefault(row.effect.value, row.effect.short)


def _print_best(config: str, overrides: list[str], result: Result) -> None:
    own, best, freest = result.rows[0], result.best(keeping=True), result.best(keeping=False)
    if best is own:
        echo("Best: the config as it is; nothing measured is clearly faster.")
    else:
        gain = best.steps_per_s / own.steps_per_s
        echo(
            f"Best: {best.steps_per_s:,.0f} steps/s, {gain:.2f} times the config's own "
            f"({best.effect.value}):"
        )
        echo(_command(config, [*overrides, *best.overrides]))
    if freest.steps_per_s > best.steps_per_s:
        echo(
            f"Faster still, but another run: {freest.steps_per_s:,.0f} steps/s "
            f"({freest.effect.value}):"
        )
        echo(_command(config, [*overrides, *freest.overrides]))


def _command(config: str, overrides: list[str]) -> str:
    words = ["roboyard", "train", config]
    words += [word for override in overrides for word in ("--set", override)]
    return f"  {shlex.join(words)}"


def _print_costs(estimates: list[Cost], rate: float) -> None:
    from roboyard.bench.costs import ASSUMPTION, MODEL

    heads = ["machine", "region", "cores", "steps/s", "spot", "as of", "on demand", "as of"]
    rows = [
        [
            machine.type,
            machine.region,
            str(machine.cores),
            f"{speed:,.0f}",
            *_dated(spot, machine.spot_date or machine.date),
            *_dated(on_demand, machine.date),
        ]
        for machine, speed, on_demand, spot in estimates
    ]
    echo("\nCost per million control steps, in the currency of the price table:\n")
    echo(f"{markdown_table(heads, rows)}\n")
    echo(f"Estimated: {MODEL.format(rate=rate)}. {ASSUMPTION}")


def _dated(cost: float | None, date: str | None) -> tuple[str, str]:
    return ("", "") if cost is None else (f"{cost:.4f}", date or "")
