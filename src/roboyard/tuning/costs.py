"""What runs will cost, by the record of ``roboyard bench``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from roboyard.errors import ConfigError
from roboyard.registry import suggest
from roboyard.tuning.experiment_definition import RunResources
from roboyard.tuning.plan import PlannedRun


class MachineSpeed(NamedTuple):
    """A machine type in a bench record."""

    name: str
    cores: int
    price: float
    """Of an hour: spare capacity where it has a price, else on demand."""
    steps_per_core_s: float
    """Of the config that was measured [1/s]."""

    def hours(self, run: PlannedRun, resources: RunResources) -> float:
        """Return how long a run is expected to take [h]."""
        speed = self.steps_per_core_s * max(resources.cpus, 1e-9)
        return run.config.train.total_steps / speed / 3600.0

    def price_of(self, resources: RunResources) -> float:
        """Return what an hour of one run costs: its cores' part of the machine."""
        return self.price * resources.cpus / self.cores


def read_machine(path: Path, name: str | None) -> MachineSpeed:
    """Return a machine type of a record that ``roboyard bench --json`` wrote.

    Args:
        path: The record.
        name: The type; by default the one whose steps cost least.

    Raises:
        ConfigError: It is no such record, or does not have the type.
    """
    try:
        record = json.loads(path.read_text())
        speed = float(record["steps_per_core_s"])
        rows: Sequence[Mapping[str, object]] = record["costs"]
        machines = {str(row["type"]): row for row in reversed(rows)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"'{path}' is not a record of 'roboyard bench': {error}. "
            "Write one with: roboyard bench CONFIG --json > bench.json"
        ) from error
    name = str(rows[0]["type"]) if name is None and rows else name
    if name is None or name not in machines:
        known = ", ".join(sorted(machines)) or "no machine at all"
        raise ConfigError(
            f"'{path}' has no machine '{name}'; it has {known}.{suggest(str(name), machines)}"
        )
    row = machines[name]
    price = row.get("spot") or row.get("on_demand")
    return MachineSpeed(name, int(str(row["cores"])), float(str(price)), speed)
