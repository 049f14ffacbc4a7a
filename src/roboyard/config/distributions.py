"""Distributions: what random quantities are drawn from, as typed records.

A plain number stands for itself. ``{type: uniform, low: 0.8, high: 1.2}`` is drawn from.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, NonNegativeFloat, PositiveFloat, Tag, model_validator

from roboyard.config.base import Record, choice

_LEAST_MASS = 1e-6


class ConstantDistribution(Record):
    """Always ``value``."""

    type: Literal["constant"]
    """Kind of distribution."""
    value: FiniteFloat
    """The value."""


class Uniform(Record):
    """Anything between ``low`` and ``high``, equally likely."""

    type: Literal["uniform"] = "uniform"
    """Kind of distribution."""
    low: FiniteFloat
    """Smallest value."""
    high: FiniteFloat
    """Largest value."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.low, self.high)
        return self


class LogUniform(Record):
    """Between ``low`` and ``high``, the logarithm being equally likely; suits factors."""

    type: Literal["log_uniform"]
    """Kind of distribution."""
    low: PositiveFloat
    """Smallest value."""
    high: PositiveFloat
    """Largest value."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.low, self.high)
        return self


class Normal(Record):
    """Normal, truncated where ``low`` or ``high`` is given."""

    type: Literal["normal"]
    """Kind of distribution."""
    mean: FiniteFloat = 0.0
    """Mean before truncation."""
    std: NonNegativeFloat
    """Standard deviation before truncation."""
    low: FiniteFloat | None = None
    """Smallest value."""
    high: FiniteFloat | None = None
    """Largest value."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None:
            _check_order(self.low, self.high)
        low, high = self.tails()
        if self.std and high - low < _LEAST_MASS:
            raise ValueError(
                f"almost nothing of this normal lies between {self.low} and {self.high}; move them "
                "towards the mean"
            )
        return self

    def tails(self) -> tuple[float, float]:
        """Return the probabilities of less than ``low``, and of less than ``high``."""
        if not self.std:
            return 0.0, 1.0
        normal = NormalDist(self.mean, self.std)
        low = 0.0 if self.low is None else normal.cdf(self.low)
        return low, 1.0 if self.high is None else normal.cdf(self.high)


class ChoiceDistribution(Record):
    """One of some values."""

    type: Literal["choice"]
    """Kind of distribution."""
    values: tuple[FiniteFloat, ...] = Field(min_length=1)
    """What to choose from."""
    weights: tuple[NonNegativeFloat, ...] | None = None
    """How likely each is, relative to the others; equally by default."""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.weights is not None:
            if len(self.weights) != len(self.values):
                raise ValueError(f"{len(self.values)} values need as many weights")
            if not sum(self.weights):
                raise ValueError("weights are all 0")
        return self


Drawn = ConstantDistribution | Uniform | LogUniform | Normal | ChoiceDistribution
"""Any distribution record."""

DISTRIBUTION_TYPES = ("constant", "uniform", "log_uniform", "normal", "choice")


def _check_order(low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"the range is reversed: low {low} is above high {high}")


def _tag(value: object) -> str | None:
    if isinstance(value, dict):
        return f"<{value.get('type')}>"
    if isinstance(value, Record):
        return f"<{getattr(value, 'type', None)}>"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "<number>" if is_number else None


Distribution = Annotated[
    Annotated[FiniteFloat, Tag("<number>")]
    | Annotated[ConstantDistribution, Tag("<constant>")]
    | Annotated[Uniform, Tag("<uniform>")]
    | Annotated[LogUniform, Tag("<log_uniform>")]
    | Annotated[Normal, Tag("<normal>")]
    | Annotated[ChoiceDistribution, Tag("<choice>")],
    choice(
        "distribution",
        _tag,
        DISTRIBUTION_TYPES,
        key="type",
        expected="a number or a distribution such as {type: uniform, low: 0.8, high: 1.2}",
    ),
]
"""A number, or what to draw it from."""


def smallest(distribution: float | Drawn) -> float:
    """Return the smallest value that a distribution gives."""
    if isinstance(distribution, int | float):
        return float(distribution)
    if isinstance(distribution, ConstantDistribution):
        return distribution.value
    if isinstance(distribution, ChoiceDistribution):
        return min(distribution.values)
    if isinstance(distribution, Normal) and distribution.low is None:
        return float("-inf") if distribution.std else distribution.mean
    return float(distribution.low)  # type: ignore[arg-type]


def largest(distribution: float | Drawn) -> float:
    """Return the largest value that a distribution gives."""
    if isinstance(distribution, int | float):
        return float(distribution)
    if isinstance(distribution, ConstantDistribution):
        return distribution.value
    if isinstance(distribution, ChoiceDistribution):
        return max(distribution.values)
    if isinstance(distribution, Normal) and distribution.high is None:
        return float("inf") if distribution.std else distribution.mean
    return float(distribution.high)  # type: ignore[arg-type]
