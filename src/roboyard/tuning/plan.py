"""From a definition to the resolved configs of its runs."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from roboyard.config.load import as_written, load, load_written
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import ConfigError
from roboyard.tuning.experiment_definition import ExperimentDefinition, Overrides

MOST_RUNS = 10_000
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 80


class PlannedRun(NamedTuple):
    """One run of an experiment."""

    run_id: str
    """Its folder within the experiment's."""
    variant: str
    seed: int
    config: ExperimentConfig


def plan(definition: ExperimentDefinition, folder: Path) -> list[PlannedRun]:
    """Return every run of an experiment, variant by variant.

    Args:
        definition: The experiment.
        folder: What its ``base`` is relative to.

    Raises:
        ConfigError: The base config or a variant is wrong; the message names the variant.
    """
    base = folder / Path(definition.base).expanduser()
    runs = []
    for variant, overrides in variants(definition).items():
        for seed in definition.all_seeds:
            config = _config(base, definition, variant, overrides, seed)
            runs.append(PlannedRun(f"{variant}-s{seed}", variant, seed, config))
    return runs


def variants(definition: ExperimentDefinition) -> dict[str, Overrides]:
    """Return the variants by name: the named ones, each with every point of grid and zip.

    Raises:
        ConfigError: Two have the same name, or there are too many.
    """
    named = definition.variants or {"": {}}
    points = [
        {**one, **other} for one in _grid(definition.grid) for other in _zipped(definition.zip)
    ]
    found: dict[str, Overrides] = {}
    for name, changes in named.items():
        for point in points:
            both = set(changes) & set(point)
            if both:
                raise ConfigError(
                    f"variant '{name}': {min(both)} stands in the variant and in grid or zip; "
                    "give it in one of them."
                )
            label = "-".join(filter(None, (name, _label(point)))) or "default"
            if label in found:
                raise ConfigError(f"two variants would both be called '{label}'; name them.")
            found[label] = {**changes, **point}
    if len(found) * len(definition.all_seeds) > MOST_RUNS:
        raise ConfigError(
            f"'{definition.name}' has {len(found)} variants with {len(definition.all_seeds)} "
            f"seeds each; at most {MOST_RUNS} runs are allowed."
        )
    return found


def _grid(grid: dict[str, list[JsonValue]]) -> Iterator[Overrides]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _zipped(lists: dict[str, list[JsonValue]]) -> Iterator[Overrides]:
    if not lists:
        yield {}
    for values in zip(*lists.values(), strict=True):
        yield dict(zip(lists, values, strict=True))


def _label(point: Overrides) -> str:
    parts = [f"{key.rpartition('.')[2]}_{_text(value)}" for key, value in point.items()]
    return "-".join(parts)[:_LONGEST]


def _text(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, separators=("x", "_"))
    return _UNSAFE.sub("", text.replace(" ", ""))


def _config(
    base: Path, definition: ExperimentDefinition, variant: str, overrides: Overrides, seed: int
) -> ExperimentConfig:
    settings = [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    settings += [f"name={definition.name}", f"seed={seed}"]
    if definition.store is not None:
        settings.append(f"store={json.dumps(definition.store)}")
    for key in overrides:
        if key in ("name", "seed", "store"):
            raise ConfigError(f"variant '{variant}': '{key}' is the experiment's; set it there.")
    try:
        return load(base, settings)
    except ConfigError as error:
        raise ConfigError(f"variant '{variant}': {error}") from error


def to_record(run: PlannedRun) -> dict[str, JsonValue]:
    """Return a run as JSON values."""
    return {"variant": run.variant, "seed": run.seed, "config": as_written(run.config)}


def from_record(run_id: str, record: dict[str, JsonValue]) -> PlannedRun:
    """Return the run of a record.

    Raises:
        ConfigError: Its config is wrong.
    """
    config = record["config"]
    assert isinstance(config, dict)
    return PlannedRun(
        run_id, str(record["variant"]), int(str(record["seed"])), load_written(config)
    )
