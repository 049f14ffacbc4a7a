"""What an experiment's file may hold."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from roboyard.config.base import Name, Record
from roboyard.config.files import read_text
from roboyard.config.interpolation import escape
from roboyard.config.tree import Node
from roboyard.config.validation import checked
from roboyard.config.yaml_text import parse
from roboyard.errors import ConfigError

Overrides = dict[str, JsonValue]
"""Dotted keys of a config and their values."""
Values = Annotated[list[JsonValue], Field(min_length=1)]


class SeedRange(Record):
    """Consecutive seeds."""

    count: PositiveInt
    """How many."""
    start: NonNegativeInt = 0
    """The first one."""


class RunResources(Record):
    """What each run needs of a node."""

    cpus: PositiveFloat = 1.0
    """Cores; a run with whole cores gets cores that no other run has."""
    gpus: NonNegativeFloat = 0.0
    """Accelerators."""
    memory_gb: PositiveFloat | None = None
    """Memory [GB]; by default not counted."""


class RetryLimits(Record):
    """How often a run is started again."""

    preemptions: NonNegativeInt = 1000
    """Kills, lost nodes and stops from outside to survive; each costs no error."""
    errors: NonNegativeInt = 2
    """Crashes and errors to survive; the same error twice at the same step is not retried."""


class ExperimentDefinition(Record):
    """An experiment: one base config, several seeds, several variants."""

    name: Name
    """Name of the experiment; its runs live in ``<store>/<name>/``."""
    base: str = Field(min_length=1)
    """YAML file of the config that all runs share, relative to this file."""
    store: str | None = Field(default=None, min_length=1)
    """Folder or ``s3://bucket/prefix``; by default the base config's."""
    seeds: list[NonNegativeInt] | SeedRange = Field(default=[0])
    """Seeds of each variant: a list, or ``{count: 5, start: 0}``."""
    variants: dict[Name, Overrides] = Field(default_factory=dict)
    """Names of variants, and what each changes in the base config, by dotted keys."""
    grid: dict[str, Values] = Field(default_factory=dict)
    """Dotted keys and their values; every combination is a variant."""
    zip: dict[str, Values] = Field(default_factory=dict)
    """Dotted keys and their values; the first of each together, the second of each, and so on."""
    resources: RunResources = RunResources()
    """What each run needs of a node."""
    retries: RetryLimits = RetryLimits()
    """How often a run is started again."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if isinstance(self.seeds, list):
            if not self.seeds:
                raise ValueError("seeds is empty; give at least one, such as [0, 1, 2]")
            if len(set(self.seeds)) != len(self.seeds):
                raise ValueError("seeds holds one seed twice; each may stand there once")
        lengths = {len(values) for values in self.zip.values()}
        if len(lengths) > 1:
            raise ValueError(f"zip: all lists must be equally long; these have {sorted(lengths)}")
        return self

    @property
    def all_seeds(self) -> list[int]:
        """Every seed."""
        if isinstance(self.seeds, SeedRange):
            return [self.seeds.start + index for index in range(self.seeds.count)]
        return list(self.seeds)


def read_mapping(path: Path, needs: str) -> Node:
    """Return the mapping in a YAML file.

    Raises:
        ConfigError: It cannot be read, or is no mapping.
    """
    root = parse(read_text(path), str(path))
    if not isinstance(root.value, dict):
        raise ConfigError(f"{path}: must be a mapping ('key: value' lines) with {needs}.")
    return root


def load_definition(path: str | Path) -> ExperimentDefinition:
    """Return the experiment that a YAML file describes.

    Raises:
        ConfigError: Something is wrong; one line for each problem, with file, line and key.
    """
    root = read_mapping(Path(path), "name, base and seeds")
    assert isinstance(root.value, dict)
    for key in root.value.keys() & _OVERRIDES:
        root.value[key] = _with_references(root.value[key])
    return checked(ExperimentDefinition, root)


_OVERRIDES = {"variants", "grid", "zip"}


def _with_references(node: Node) -> Node:
    """Return overrides as they were written: each run's config fills in and keeps references."""
    value = node.value
    if node.reference is not None:
        value = node.reference
    elif isinstance(value, dict):
        value = {key: _with_references(child) for key, child in value.items()}
    elif isinstance(value, list):
        value = [_with_references(child) for child in value]
    elif isinstance(value, str):
        value = escape(value)
    return dataclasses.replace(node, value=value, reference=None)
