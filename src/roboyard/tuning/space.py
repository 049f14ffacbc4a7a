"""What a search may vary: distributions over keys of a config."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, JsonValue, PositiveInt, Tag, model_validator

from roboyard.config.base import Record, choice
from roboyard.errors import ConfigError
from roboyard.registry import suggest

Values = Mapping[str, JsonValue]
"""Dotted keys of a config and the values that a trial has for them."""


_D = TypeVar("_D")


class _Distribution(Record):
    when: dict[str, JsonValue] = Field(default_factory=dict)
    """Only where other keys of the space have these values; else the base config's stands."""


class UniformSpace(_Distribution):
    """A number between two others, each as likely as any."""

    type: Literal["uniform"]
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _checked_bounds(self, self.low, self.high)


class LogUniformSpace(_Distribution):
    """A positive number between two others, whose logarithm is as likely as any."""

    type: Literal["loguniform"]
    low: float = Field(gt=0)
    high: float = Field(gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _checked_bounds(self, self.low, self.high)


class IntegerSpace(_Distribution):
    """A whole number between two others, both included."""

    type: Literal["int"]
    low: int
    high: int
    step: PositiveInt = 1
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.log and (self.low < 1 or self.step != 1):
            raise ValueError("log needs low >= 1 and no step")
        return _checked_bounds(self, self.low, self.high)


class ChoiceSpace(_Distribution):
    """One of several values: numbers, texts, lists, mappings."""

    type: Literal["choice"]
    values: list[JsonValue] = Field(min_length=1)


def _checked_bounds(record: _D, low: float, high: float) -> _D:
    if low >= high:
        raise ValueError(f"low ({low:g}) must be less than high ({high:g})")
    return record


_TYPES = ("uniform", "loguniform", "int", "choice")


def _tag(value: object) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if isinstance(kind, str) else None


Distribution = Annotated[
    Annotated[UniformSpace, Tag("<uniform>")]
    | Annotated[LogUniformSpace, Tag("<loguniform>")]
    | Annotated[IntegerSpace, Tag("<int>")]
    | Annotated[ChoiceSpace, Tag("<choice>")],
    choice(
        "distribution",
        _tag,
        _TYPES,
        key="type",
        expected="a distribution such as {type: loguniform, low: 1e-5, high: 1e-2}",
    ),
]
Space = dict[str, Distribution]


def ordered(space: Space) -> list[str]:
    """Return the keys such that each comes after those that its ``when`` names.

    Raises:
        ConfigError: A condition names a key that is not in the space, or its own.
    """
    done: list[str] = []
    for key, distribution in space.items():
        for other in distribution.when:
            if other not in space:
                raise ConfigError(
                    f"space: {key}: when names '{other}', which the space does not vary."
                    f"{suggest(other, space)}"
                )
    left = list(space)
    while left:
        ready = [key for key in left if all(other in done for other in space[key].when)]
        if not ready:
            raise ConfigError(f"space: {', '.join(left)} wait for each other in their 'when'.")
        done += ready
        left = [key for key in left if key not in ready]
    return done


def is_active(distribution: _Distribution, values: Values) -> bool:
    """Return whether a distribution's conditions hold."""
    return all(key in values and values[key] == value for key, value in distribution.when.items())


def corners(space: Space) -> Iterator[Values]:
    """Yield for each key its outermost values, together with what its conditions need."""
    for key, distribution in space.items():
        needed = _conditions(space, key)
        extremes = (
            distribution.values
            if isinstance(distribution, ChoiceSpace)
            else [distribution.low, distribution.high]
        )
        for value in extremes:
            yield {**needed, key: value}


def _conditions(space: Space, key: str) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for other, value in space[key].when.items():
        found = {**found, **_conditions(space, other), other: value}
    return found


def to_overrides(values: Values) -> list[str]:
    """Return values as texts for ``load``."""
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]


def clipped(space: Space, values: Values) -> dict[str, JsonValue]:
    """Return perturbed values within their bounds; whole numbers where only those fit."""
    found = dict(values)
    for key, value in values.items():
        distribution = space[key]
        if isinstance(distribution, ChoiceSpace) or not isinstance(value, int | float):
            continue
        inside = min(max(value, distribution.low), distribution.high)
        if isinstance(distribution, IntegerSpace):
            offset = round((inside - distribution.low) / distribution.step) * distribution.step
            inside = min(distribution.low + offset, distribution.high)
        found[key] = inside
    return found
