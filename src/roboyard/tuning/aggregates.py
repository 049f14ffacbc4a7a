"""Comparing algorithms from a few runs: the statistics of Agarwal et al. 2021.

"Deep Reinforcement Learning at the Edge of the Statistical Precipice". Scores are matrices of
shape (runs, tasks). Intervals are percentile intervals of a stratified bootstrap: the runs of each
task are redrawn independently of those of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roboyard.evaluation.statistics import interquartile_mean

Floats = NDArray[np.float64]
RESAMPLES = 2000
CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A number and its confidence interval."""

    value: float
    low: float
    high: float


def aggregate_iqm(scores: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Return the interquartile mean over all runs and tasks.

    Args:
        scores: Shape (runs, tasks), or (runs,) for one task.
        resamples: How many redrawn samples.
        seed: Of the generator made for this call.

    Raises:
        ValueError: There is no run.
    """
    matrix = _matrix(scores)
    return _estimate(interquartile_mean, [matrix], resamples, seed)


def probability_of_improvement(
    ours: ArrayLike, theirs: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Return how likely a run of ours scores more than one of theirs, on a task drawn at random.

    It is the Mann-Whitney statistic over the number of pairs, so that a tie counts half, averaged
    over tasks. How much more does not matter.

    Args:
        ours: Shape (runs, tasks), or (runs,).
        theirs: The same tasks; the number of runs may differ.
        resamples: How many redrawn samples.
        seed: Of the generator made for this call.

    Raises:
        ValueError: There is no run, or the tasks differ in number.
    """
    pair = [_matrix(ours), _matrix(theirs)]
    if pair[0].shape[1] != pair[1].shape[1]:
        raise ValueError(f"{pair[0].shape[1]} tasks against {pair[1].shape[1]}")
    return _estimate(_wins, pair, resamples, seed)


class PerformanceProfile(NamedTuple):
    """Which part of the runs scores more than each threshold."""

    thresholds: Floats
    share: Floats
    low: Floats
    high: Floats


def performance_profile(
    scores: ArrayLike, thresholds: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> PerformanceProfile:
    """Return the share of runs, over all tasks, above each threshold, with pointwise intervals.

    Args:
        scores: Shape (runs, tasks), or (runs,).
        thresholds: Shape (n,).
        resamples: How many redrawn samples.
        seed: Of the generator made for this call.

    Raises:
        ValueError: There is no run.
    """
    matrix, levels = _matrix(scores), np.asarray(thresholds, dtype=np.float64)
    drawn = np.stack(
        [_above(sample, levels) for (sample,) in _resampled([matrix], resamples, seed)]
    )
    low, high = np.quantile(drawn, _tails(), axis=0)
    return PerformanceProfile(levels, _above(matrix, levels), low, high)


def _matrix(scores: ArrayLike) -> Floats:
    matrix = np.asarray(scores, dtype=np.float64)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"scores must have the shape (runs, tasks), not {matrix.shape}")
    return matrix


def _wins(ours: Floats, theirs: Floats) -> float:
    difference = ours[:, None, :] - theirs[None, :, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def _above(matrix: Floats, levels: Floats) -> Floats:
    ordered = np.sort(matrix, axis=None)
    share: Floats = 1.0 - np.searchsorted(ordered, levels, side="right") / matrix.size
    return share


def _estimate(
    statistic: Callable[..., float], matrices: list[Floats], resamples: int, seed: int
) -> Estimate:
    drawn = [statistic(*sample) for sample in _resampled(matrices, resamples, seed)]
    low, high = np.quantile(drawn, _tails())
    return Estimate(float(statistic(*matrices)), float(low), float(high))


def _resampled(matrices: list[Floats], resamples: int, seed: int) -> list[list[Floats]]:
    generator = np.random.default_rng(seed)
    samples = []
    for _ in range(resamples):
        rows = [generator.integers(len(m), size=m.shape) for m in matrices]
        samples.append(
            [np.take_along_axis(m, row, axis=0) for m, row in zip(matrices, rows, strict=True)]
        )
    return samples


def _tails() -> tuple[float, float]:
    tail = (1.0 - CONFIDENCE) / 2.0
    return tail, 1.0 - tail
