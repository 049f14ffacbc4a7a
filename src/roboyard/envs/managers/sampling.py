"""Drawing from distributions."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from roboyard.config.distributions import (
    ChoiceDistribution,
    ConstantDistribution,
    Drawn,
    LogUniform,
    Normal,
    Uniform,
)

Floats = NDArray[np.float64]


def draw(distribution: float | Drawn, generator: np.random.Generator, size: int) -> Floats:
    """Return ``size`` independent values; a number draws nothing from the generator."""
    if isinstance(distribution, Uniform):
        return generator.uniform(distribution.low, distribution.high, size)
    if isinstance(distribution, LogUniform):
        low, high = math.log(distribution.low), math.log(distribution.high)
        return np.exp(generator.uniform(low, high, size))
    if isinstance(distribution, Normal):
        return _normal(distribution, generator, size)
    if isinstance(distribution, ChoiceDistribution):
        weights = distribution.weights
        shares = None if weights is None else np.array(weights) / sum(weights)
        values: Floats = np.array(distribution.values, dtype=np.float64)
        return generator.choice(values, size, p=shares)
    value = distribution.value if isinstance(distribution, ConstantDistribution) else distribution
    return np.full(size, float(value))


def draw_one(distribution: float | Drawn, generator: np.random.Generator) -> float:
    """Return one value."""
    if isinstance(distribution, int | float):
        return float(distribution)
    return float(draw(distribution, generator, 1)[0])


def _normal(record: Normal, generator: np.random.Generator, size: int) -> Floats:
    """Draw by inverting the distribution function, so that the number of draws is fixed."""
    if record.low is None and record.high is None:
        return generator.normal(record.mean, record.std, size)
    if not record.std:
        return np.full(size, record.mean)
    normal = NormalDist(record.mean, record.std)
    shares = np.clip(generator.uniform(*record.tails(), size), 1e-12, 1 - 1e-12)
    values: Floats = np.array([normal.inv_cdf(share) for share in shares.tolist()])
    np.clip(values, record.low, record.high, out=values)
    return values
