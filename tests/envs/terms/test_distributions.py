"""Distributions: what they give, that they are truncated, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from roboyard.config.base import Record
from roboyard.config.distributions import Distribution, smallest
from roboyard.config.tree import from_python
from roboyard.config.validation import checked
from roboyard.envs.managers.sampling import draw, draw_one
from roboyard.errors import ConfigError


class Holder(Record):
    """Something with a distribution in it."""

    value: Distribution
    """The distribution."""


def parsed(value: object) -> object:
    return checked(Holder, from_python({"value": value})).value


def drawn(value: object, size: int = 20_000) -> np.ndarray:
    return draw(parsed(value), np.random.default_rng(0), size)


def test_a_number_draws_nothing() -> None:
    generator = np.random.default_rng(0)
    assert draw_one(parsed(2.5), generator) == 2.5
    np.testing.assert_array_equal(draw(parsed(3), generator, 2), [3, 3])
    assert generator.random() == np.random.default_rng(0).random()


def test_uniform_fills_its_range() -> None:
    values = drawn({"type": "uniform", "low": -1, "high": 3})
    assert values.min() >= -1
    assert values.max() <= 3
    assert values.mean() == pytest.approx(1.0, abs=0.03)
    assert values.std() == pytest.approx(4 / np.sqrt(12), abs=0.02)


def test_log_uniform_has_half_of_its_values_below_the_geometric_mean() -> None:
    values = drawn({"type": "log_uniform", "low": 0.01, "high": 100})
    assert np.mean(values < 1.0) == pytest.approx(0.5, abs=0.02)


def test_normal_has_its_mean_and_spread() -> None:
    values = drawn({"type": "normal", "mean": 2, "std": 0.5})
    assert values.mean() == pytest.approx(2, abs=0.02)
    assert values.std() == pytest.approx(0.5, abs=0.02)


def test_a_truncated_normal_stays_within_without_piling_up_at_the_ends() -> None:
    values = drawn({"type": "normal", "std": 1, "low": -1, "high": 1})
    assert np.abs(values).max() <= 1
    assert np.mean(np.abs(values) > 0.999) < 0.01
    # the standard deviation of a normal cut at one sigma on both sides is 0.5396
    assert values.std() == pytest.approx(0.5396, abs=0.01)


def test_choice_follows_its_weights() -> None:
    values = drawn({"type": "choice", "values": [1, 2, 3], "weights": [1, 0, 3]})
    assert set(values.tolist()) == {1.0, 3.0}
    assert np.mean(values == 3) == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize(
    ("value", "least"),
    [
        (2, 2),
        ({"type": "constant", "value": -1}, -1),
        ({"type": "uniform", "low": 0.5, "high": 1}, 0.5),
        ({"type": "choice", "values": [3, -2]}, -2),
        ({"type": "normal", "std": 1}, -np.inf),
        ({"type": "normal", "std": 1, "low": -0.5}, -0.5),
    ],
)
def test_the_smallest_value_is_known(value: object, least: float) -> None:
    assert smallest(parsed(value)) == least


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {"type": "uniform", "low": 2, "high": 1},
            "value: the range is reversed: low 2.0 is above",
        ),
        ({"type": "log_uniform", "low": 0, "high": 1}, "value.low: must be greater than 0"),
        ({"type": "normal", "std": 1, "low": 50}, "value: almost nothing of this normal"),
        ({"type": "choice", "values": []}, "value.values"),
        ({"type": "choice", "values": [1], "weights": [1, 2]}, "1 values need as many weights"),
        ({"type": "choice", "values": [1], "weights": [0]}, "weights are all 0"),
        ({"type": "unifrom", "low": 1, "high": 2}, "Did you mean 'uniform'?"),
        ({"type": "uniform", "low": 1, "hihg": 2}, "value.hihg: unknown key"),
        ("wide", "value: must be a number or a distribution such as"),
        (True, "value: must be a number or a distribution such as"),
    ],
)
def test_what_is_wrong_with_a_distribution_is_named(value: object, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(value)
    assert text in str(caught.value)
