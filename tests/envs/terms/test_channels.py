"""Imperfect sensors and actuators: what arrives, worked out step by step."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from roboyard.config.distributions import Normal, Uniform
from roboyard.config.tasks import ChannelConfig
from roboyard.envs.managers.sensor_model import Channel


def started(seed: int = 0, **settings: object) -> Channel:
    channel = Channel(ChannelConfig(**settings))
    channel.use(np.random.default_rng(seed))
    channel.reset(1)
    return channel


def sent(channel: Channel, values: list[float]) -> list[float]:
    return [float(channel(np.array([value]))[0]) for value in values]


def test_a_perfect_channel_changes_nothing() -> None:
    assert sent(started(), [1.0, 2.0, 3.0]) == [1.0, 2.0, 3.0]


def test_a_delay_of_two_steps_shows_the_first_value_three_times() -> None:
    assert sent(started(delay_steps=2), [1, 2, 3, 4, 5]) == [1, 1, 1, 2, 3]


def test_a_new_episode_knows_nothing_of_the_old_one() -> None:
    channel = started(delay_steps=1)
    sent(channel, [1, 2, 3])
    channel.reset(1)
    assert sent(channel, [7, 8]) == [7, 7]


def test_quantisation_rounds_to_the_nearest_multiple() -> None:
    assert sent(started(quantization=0.5), [0.2, 0.3, -0.8]) == [0.0, 0.5, -1.0]


def test_the_bias_is_drawn_once_for_each_entry_and_told() -> None:
    channel = Channel(ChannelConfig(bias=Uniform(low=1, high=2)))
    channel.use(np.random.default_rng(3))
    drawn = channel.reset(2)
    first, second = channel(np.zeros(2)), channel(np.zeros(2))
    np.testing.assert_array_equal(first, second)
    assert first.tolist() == drawn["bias"]
    assert first[0] != first[1]
    assert channel.reset(2)["bias"] != drawn["bias"]


def test_noise_is_drawn_in_every_step() -> None:
    values = sent(started(noise=Normal(type="normal", std=0.1)), [5.0] * 5000)
    assert np.mean(values) == pytest.approx(5, abs=0.01)
    assert np.std(values) == pytest.approx(0.1, abs=0.005)


def test_a_dropped_sample_leaves_the_last_one() -> None:
    values = np.array(sent(started(drop=0.25), list(range(4000))))
    repeated = values[1:] == values[:-1]
    assert repeated.mean() == pytest.approx(0.25, abs=0.03)
    fresh = ~repeated
    np.testing.assert_array_equal(values[1:][fresh], np.arange(1, 4000)[fresh])
    assert values[0] == 0


def test_noise_comes_before_rounding_and_the_delay_after_it() -> None:
    channel = started(noise=Uniform(low=0.3, high=0.4), quantization=1.0, delay_steps=1, bias=0.3)
    assert sent(channel, [0.0, 1.0, 2.0]) == [1.0, 1.0, 2.0]


def test_it_goes_on_exactly_from_its_state() -> None:
    settings = {"noise": Uniform(low=-1, high=1), "delay_steps": 3, "drop": 0.4}
    channel = started(**settings)
    sent(channel, [1, 2, 3, 4, 5])
    state, generator = channel.get_state(), np.random.default_rng(9)
    channel.use(generator)
    expected = sent(channel, [6, 7, 8, 9])
    other = Channel(channel.config)
    other.use(np.random.default_rng(9))
    other.set_state(state)
    assert sent(other, [6, 7, 8, 9]) == expected


def test_a_delay_into_the_future_is_refused() -> None:
    with pytest.raises(ValidationError, match="delay_steps can be negative"):
        ChannelConfig(delay_steps=Uniform(low=-1, high=2))
