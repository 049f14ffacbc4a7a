"""Summary numbers of a few noisy returns, with an interval that admits how few they are.

The interquartile mean and its bootstrap interval follow Agarwal et al. 2021, "Deep
Reinforcement Learning at the Edge of the Statistical Precipice": less noisy than the median,
less moved by one lucky or broken episode than the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


class Summary(NamedTuple):
    """Summary of returns; ``std`` is the population's, 0 for one episode."""

    mean: float
    std: float
    median: float
    iqm: float
    iqm_low: float
    iqm_high: float


def interquartile_mean(values: ArrayLike) -> float:
    """Return the mean of the middle half: a quarter of the values, rounded down, is cut each side.

    Args:
        values: At least one number, of any shape.

    Raises:
        ValueError: There is none.
    """
    flat = np.asarray(values, dtype=np.float64).reshape(1, -1)
    if flat.size == 0:
        raise ValueError("the interquartile mean needs at least one value")
    return float(_row_iqm(flat)[0])


def iqm_interval(
    values: Sequence[float] | Floats,
    strata: Sequence[int] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the percentile bootstrap interval of the interquartile mean.

    Args:
        values: Returns, shape (n,).
        strata: The group of each value, such as its task or training seed; values are redrawn
            within their own group. One group by default.
        confidence: Probability mass of the interval.
        resamples: How many redrawn samples.
        seed: Seed of the generator made for this call; the same input gives the same interval.
    """
    data = np.asarray(values, dtype=np.float64)
    groups = np.zeros(len(data), dtype=int) if strata is None else np.asarray(strata)
    generator = np.random.default_rng(seed)
    columns = []
    for group in np.unique(groups):
        members = data[groups == group]
        columns.append(members[generator.integers(len(members), size=(resamples, len(members)))])
    estimates = _row_iqm(np.concatenate(columns, axis=1))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(estimates, [tail, 1.0 - tail])
    return Interval(float(low), float(high))


def summarize(values: Sequence[float]) -> Summary:
    """Return all summary numbers of at least one return."""
    data = np.asarray(values, dtype=np.float64)
    iqm = interquartile_mean(data)
    interval = iqm_interval(data)
    return Summary(
        mean=float(data.mean()),
        std=float(data.std()),
        median=float(np.median(data)),
        iqm=iqm,
        iqm_low=interval.low,
        iqm_high=interval.high,
    )


def _row_iqm(rows: Floats) -> Floats:
    """Return the interquartile mean of each row of a 2-D array."""
    count = rows.shape[1]
    cut = count // 4
    middle: Floats = np.sort(rows, axis=1)[:, cut : count - cut].mean(axis=1)
    return middle
