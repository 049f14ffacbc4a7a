"""The cart-pole."""

from __future__ import annotations

import math

import gymnasium
import imageio.v3 as imageio
import numpy as np
import psutil
import pytest

import roboyard.envs  # noqa: F401  (registers the ids)
from roboyard.config.schema import EnvConfig
from roboyard.envs.simple import INITIAL_RANGE, SimpleRobotEnv
from roboyard.errors import ConfigError, SimulationError
from roboyard.testing.env_conformance import EnvConformance

CART, POLE, HALF_LENGTH, G = 1.0, 0.1, 0.5, 9.81


class TestSimpleRobotConforms(EnvConformance):
    config = EnvConfig(id="roboyard/SimpleRobot-v0")


@pytest.fixture
def env():
    env = SimpleRobotEnv()
    yield env
    env.close()


def put(env, x=0.0, velocity=0.0, angle=0.0, rate=0.0):
    env.reset(seed=0)
    env.world.set_joint_states(env._robot, (0, 1), (x, angle), (velocity, rate))


def step(env, force):
    return env.step(np.array([force], dtype=np.float32))


def test_a_push_accelerates_cart_and_pole_as_the_equations_of_motion_say(env):
    put(env)
    observation, *_ = step(env, 1.0)
    acceleration = 10.0 / (CART + POLE / 4)  # upright pole: 3/4 of its mass turns away
    expected = np.array([acceleration, -3 / (4 * HALF_LENGTH) * acceleration]) * env.control_period
    assert observation[[1, 3]] == pytest.approx(expected, rel=0.01)


def test_a_free_pole_falls_at_the_rate_of_linear_theory(env):
    growth = math.sqrt(G / (HALF_LENGTH * (4 / 3 - POLE / (CART + POLE))))
    put(env, angle=0.001)
    for _ in range(50):
        observation, *_ = step(env, 0.0)
    measured = math.acosh(observation[2] / 0.001) / 1.0
    assert measured == pytest.approx(growth, rel=0.02)


def test_a_hanging_pole_swings_at_its_natural_frequency_and_keeps_its_energy(env):
    put(env, angle=math.pi - 0.1)
    angles = np.array([step(env, 0.0)[0][2] - math.pi for _ in range(1000)], dtype=float)
    crossings = np.flatnonzero((angles[:-1] < 0) & (angles[1:] >= 0))
    period = np.diff(crossings).mean() * env.control_period
    omega = math.sqrt(G / (HALF_LENGTH * (4 / 3 - POLE / (CART + POLE))))
    assert period == pytest.approx(2 * math.pi / omega, rel=0.01)
    assert np.abs(angles[-200:]).max() == pytest.approx(np.abs(angles[:200]).max(), rel=0.03)


def test_momentum_is_kept_without_a_force(env):
    put(env, velocity=0.5, angle=0.1)
    for _ in range(20):
        observation, *_ = step(env, 0.0)
    _, velocity, angle, rate = observation.astype(float)
    momentum = (CART + POLE) * velocity + POLE * HALF_LENGTH * rate * math.cos(angle)
    assert momentum == pytest.approx((CART + POLE) * 0.5, rel=0.01)


def test_the_start_is_within_its_range_and_varies_with_the_seed(env):
    starts = np.array([env.reset(seed=seed)[0] for seed in range(50)])
    assert np.abs(starts).max() <= INITIAL_RANGE + 1e-6
    assert np.unique(starts, axis=0).shape == (50, 4)
    assert np.ptp(starts, axis=0).min() > INITIAL_RANGE


def test_a_balanced_pole_earns_500(env):
    observation, _ = env.reset(seed=0)
    gains = np.array([0.2, 0.4, 3.5, 0.8])
    total, truncated = 0.0, False
    while not truncated:
        observation, reward, terminated, truncated, _ = step(env, float(gains @ observation))
        assert not terminated
        total += reward
    assert total == 500


@pytest.mark.parametrize("start", [{"angle": 0.25}, {"angle": -0.25}, {"x": 2.5}, {"x": -2.5}])
def test_a_fall_and_a_run_off_terminate(env, start):
    put(env, **start)
    _, reward, terminated, truncated, _ = step(env, 0.0)
    assert (reward, terminated, truncated) == (1.0, True, False)


def test_actions_out_of_range_are_clipped(env):
    put(env)
    full = step(env, 1.0)[0]
    put(env)
    assert np.array_equal(step(env, 50.0)[0], full)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (np.array([np.nan], np.float32), "must be finite and in \\[-1, 1\\], but is nan"),
        (np.array([np.inf], np.float32), "but is inf"),
        (np.zeros(2, np.float32), "must have shape \\(1,\\), but has shape \\(2,\\)"),
        (np.float32(0.5), "must have shape \\(1,\\), but has shape \\(\\)"),
        ("left", "must be one number, but is 'left'"),
        (None, "must have shape"),
    ],
)
def test_unusable_actions_are_refused(env, action, words):
    env.reset(seed=0)
    with pytest.raises(SimulationError, match=words):
        env.step(action)


def test_lists_of_one_number_are_actions(env):
    put(env)
    expected = step(env, 0.5)[0]
    put(env)
    assert np.array_equal(env.step([0.5])[0], expected)


def test_gymnasium_makes_it_also_through_a_module_prefix():
    for env_id in ("roboyard/SimpleRobot-v0", "roboyard.envs:roboyard/SimpleRobot-v0"):
        env = gymnasium.make(env_id, render_mode="rgb_array")
        assert isinstance(env.unwrapped, SimpleRobotEnv)
        assert env.metadata["render_fps"] == 50
        env.close()


def test_the_picture_shows_cart_pole_and_ground(tmp_path):
    env = SimpleRobotEnv(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    env.close()
    imageio.imwrite(tmp_path / "cartpole.png", picture)
    assert picture.shape == (360, 480, 3)
    red, green, blue = (picture[:, :, channel].astype(int) for channel in range(3))
    pole = (red > green + 40) & (green > blue)
    cart = (blue > red + 40) & (blue > green)
    assert pole.sum() > 200
    assert cart.sum() > 300
    rows, columns = np.nonzero(pole)
    assert abs(columns.mean() - 240) < 20, "the pole is in the middle"
    assert rows.min() > 20, "the pole's tip is in the picture"


def test_a_window_without_a_display_is_a_clear_error(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(SimulationError, match=r"no display .* Use render_mode='rgb_array'"):
        SimpleRobotEnv(render_mode="human")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"render_mode": "rgb"}, "unknown render_mode 'rgb'.*Did you mean 'rgb_array'"),
        ({"max_episode_steps": 0}, "max_episode_steps is 0; it must be a whole number"),
        ({"max_episode_steps": 1.5}, "max_episode_steps is 1.5"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        SimpleRobotEnv(**arguments)


def test_1000_cycles_of_create_and_close_leak_neither_files_nor_memory():
    process = psutil.Process()
    sizes = []
    for index in range(1000):
        env = SimpleRobotEnv()
        env.reset(seed=index)
        env.close()
        if index in (300, 999):
            sizes.append((process.num_fds(), process.memory_info().rss))
    assert sizes[1][0] == sizes[0][0]
    assert sizes[1][1] - sizes[0][1] < 8 * 2**20


def test_10000_resets_leak_nothing(env):
    process = psutil.Process()
    sizes = []
    for index in range(10_000):
        env.reset()
        if index in (1000, 9999):
            sizes.append(process.memory_info().rss)
    assert sizes[1] - sizes[0] < 4 * 2**20
