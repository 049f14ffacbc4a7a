"""The comparison's statistics against their definitions, by other ways of computing them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from roboyard.tuning.aggregates import (
    aggregate_iqm,
    performance_profile,
    probability_of_improvement,
)

RNG = np.random.default_rng(0)
OURS = RNG.normal(1.0, 1.0, size=(10, 4)).round(1)
THEIRS = RNG.normal(0.5, 2.0, size=(7, 4)).round(1)


def test_the_interquartile_mean_is_the_trimmed_mean_over_runs_and_tasks() -> None:
    expected = stats.trim_mean(OURS, 0.25, axis=None)
    assert aggregate_iqm(OURS).value == pytest.approx(expected, abs=1e-12)


def test_the_probability_of_improvement_is_mann_whitneys_u_over_the_pairs_averaged_over_tasks() -> (
    None
):
    each = [
        stats.mannwhitneyu(OURS[:, k], THEIRS[:, k], alternative="greater").statistic / (10 * 7)
        for k in range(4)
    ]
    assert probability_of_improvement(OURS, THEIRS).value == pytest.approx(np.mean(each), abs=1e-12)


def test_equal_scores_are_neither_an_improvement_nor_the_contrary() -> None:
    assert probability_of_improvement([1.0, 1.0], [1.0]) == (0.5, 0.5, 0.5)


def test_a_profile_is_the_share_of_runs_above_each_threshold() -> None:
    levels = np.linspace(-2, 3, 26).round(1)
    profile = performance_profile(OURS, levels)
    expected = [np.mean(level < OURS) for level in levels]
    np.testing.assert_allclose(profile.share, expected, atol=1e-12)
    assert np.all(profile.low <= profile.share) and np.all(profile.share <= profile.high)


def test_the_interval_of_a_mean_of_normal_scores_covers_it_as_often_as_it_says() -> None:
    generator, covered = np.random.default_rng(1), 0
    for trial in range(200):
        scores = generator.normal(0.0, 1.0, size=(20, 5))
        estimate = aggregate_iqm(scores, resamples=300, seed=trial)
        covered += estimate.low <= 0.0 <= estimate.high
    assert 0.88 <= covered / 200 <= 0.99


def test_runs_are_redrawn_within_their_task_alone() -> None:
    # Two tasks without any spread: however runs are redrawn, nothing changes.
    scores = np.column_stack([np.zeros(5), np.full(5, 100.0)])
    estimate = aggregate_iqm(scores)
    assert estimate.low == estimate.value == estimate.high == 50.0


def test_the_same_input_gives_the_same_interval() -> None:
    assert aggregate_iqm(OURS) == aggregate_iqm(OURS)


@pytest.mark.parametrize("scores", [[], np.zeros((0, 3)), np.zeros((1, 2, 3))])
def test_scores_of_another_shape_are_refused(scores: object) -> None:
    with pytest.raises(ValueError, match="shape"):
        aggregate_iqm(scores)  # type: ignore[arg-type]
