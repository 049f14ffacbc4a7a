import numpy as np
import pytest

from roboyard.evaluation.statistics import interquartile_mean, iqm_interval, summarize


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7.0], 7.0),
        ([1.0, 3.0], 2.0),
        ([0.0, 1.0, 2.0, 100.0], 1.5),  # one cut on each side
        ([5.0, 1.0, 2.0, 3.0, 900.0], 10.0 / 3.0),  # 1 of 5 cut on each side
        ([8, 1, 2, 3, 4, 5, 6, 7], 4.5),  # 3, 4, 5, 6 are left
        ([[0.0, 1.0], [2.0, 100.0]], 1.5),
    ],
)
def test_the_interquartile_mean_is_the_one_worked_out_by_hand(values, expected):
    assert interquartile_mean(values) == pytest.approx(expected)


def test_the_interquartile_mean_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one value"):
        interquartile_mean([])


def test_all_summary_numbers_are_those_worked_out_by_hand():
    summary = summarize([1.0, 2.0, 3.0, 10.0])
    assert summary.mean == 4.0
    assert summary.std == pytest.approx(np.sqrt((9 + 4 + 1 + 36) / 4))
    assert summary.median == 2.5
    assert summary.iqm == 2.5
    assert 1.0 <= summary.iqm_low <= 2.5 <= summary.iqm_high <= 10.0


@pytest.mark.parametrize("values", [[4.0], [4.0] * 20])
def test_one_episode_and_equal_returns_have_no_width(values):
    assert summarize(values) == (4.0, 0.0, 4.0, 4.0, 4.0, 4.0)


def test_two_values_have_the_interval_of_the_exact_resampling_distribution():
    # The mean of two draws from {0, 1} is 0, 1/2 or 1 with 1/4, 1/2, 1/4.
    assert iqm_interval([0.0, 1.0]) == (0.0, 1.0)
    assert iqm_interval([0.0, 1.0], confidence=0.4) == (0.5, 0.5)


def test_the_interval_is_the_same_every_time_and_moves_no_global_generator():
    values = np.random.default_rng(0).normal(size=30)
    before = np.random.get_state()[1].copy()
    assert iqm_interval(values) == iqm_interval(values)
    assert iqm_interval(values) != iqm_interval(values, seed=1)
    assert np.array_equal(before, np.random.get_state()[1])


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        interval = iqm_interval(generator.normal(size=40), resamples=500)
        hits += interval.low <= 0.0 <= interval.high
    assert 180 <= hits <= 198


def test_strata_are_redrawn_within_themselves():
    values = [0.0] * 10 + [100.0] * 10
    strata = [0] * 10 + [1] * 10
    assert iqm_interval(values, strata) == (50.0, 50.0)
    assert iqm_interval(values).high > 50.0
