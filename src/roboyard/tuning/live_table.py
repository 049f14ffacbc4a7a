"""How far every run is: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from roboyard.tuning.executor import RunRecord

_LINE_S = 30.0
"""A run without a change of its state is told about once in so long [s]."""
_COLOURS = {"running": "green", "finished": "cyan", "failed": "red", "interrupted": "yellow"}


class LiveTable:
    """Shows runs; give ``update`` to the executor."""

    def __init__(self, console: Console, price: float | None = None) -> None:
        """Prepare.

        Args:
            console: Where to.
            price: Of an hour of one run's resources; None if it is not known.
        """
        self._console = console
        self._price = price
        self._records: dict[str, RunRecord] = {}
        self._told: dict[str, tuple[str, float]] = {}
        self._live: Live | None = None

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show what comes; a live table where there is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=2, transient=True) as live:
            self._live = live
            yield
        self._live = None
        self._console.print(self._table())

    def update(self, record: RunRecord) -> None:
        """Take note of a change."""
        self._records[record.run.run_id] = record
        if self._live is not None:
            self._live.update(self._table())
            return
        state, told = self._told.get(record.run.run_id, ("", 0.0))
        now = time.monotonic()
        if self._console.is_terminal or (record.state == state and now - told < _LINE_S):
            return
        self._told[record.run.run_id] = record.state, now
        self._console.print(self._line(record), soft_wrap=True, markup=False, highlight=False)

    def _line(self, record: RunRecord) -> str:
        parts = [f"{record.run.run_id}: {record.state} at step {record.step:,}"]
        if record.state == "running":
            parts.append(f"on {record.node}")
            parts += [f"return {record.value:.5g}"] if record.value is not None else []
            parts += [f"{record.steps_per_s:,.0f} steps/s"] if record.steps_per_s else []
        elif record.reason:
            parts.append(record.reason)
        return ", ".join(parts)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        heads = ["run", "state", "node", "step", "return", "steps/s", "hours"]
        for head in [*heads, *["cost"] * (self._price is not None)]:
            table.add_column(head, justify="left" if head in heads[:3] else "right")
        records = sorted(self._records.values(), key=lambda r: (r.has_ended, r.state, r.run.run_id))
        rows = max(5, self._console.height - 4)
        for record in records[:rows]:
            table.add_row(*self._row(record))
        if len(records) > rows:
            table.add_row(f"... and {len(records) - rows} more")
        return table

    def _row(self, record: RunRecord) -> list[str]:
        colour = _COLOURS.get(record.state, "white")
        hours = record.hours
        row = [
            record.run.run_id,
            f"[{colour}]{record.state}[/{colour}]",
            record.node or "-",
            f"{record.step:,}",
            "-" if record.value is None else f"{record.value:.5g}",
            f"{record.steps_per_s:,.0f}" if record.steps_per_s else "-",
            f"{hours:.2f}",
        ]
        return row if self._price is None else [*row, f"{hours * self._price:.3f}"]


def summary_lines(records: Sequence[RunRecord]) -> list[str]:
    """Return what is to be said in the end: how many finished, and why others did not."""
    finished = [record for record in records if record.state == "finished"]
    preemptions, errors = (sum(getattr(r, k) for r in records) for k in ("preemptions", "errors"))
    line = f"{len(finished)} of {len(records)} runs finished"
    if preemptions or errors:
        line += f"; stopped from outside {preemptions} times, errors {errors}"
    failed = [f"{r.run.run_id} {r.state}: {r.reason}" for r in records if r.state != "finished"]
    return [f"{line}.", *failed]
