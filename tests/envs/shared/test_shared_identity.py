"""Worker processes give exactly what SB3's in-process vectorisation gives."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv
from vector_zoo import ACTIONS, KeepingEnv, ReusingEnv, ZooEnv

from roboyard.config.schema import EnvConfig
from roboyard.envs.vector.factory import make_vec_env
from roboyard.envs.vector.shared_memory_vec_env import SharedMemoryVecEnv

NUM_ENVS = 5
STEPS = 40


def assert_same(one, other):
    if isinstance(one, dict):
        assert isinstance(other, dict)  # SB3 hands out ordered dictionaries
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert type(one) is type(other)
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    else:
        assert type(one) is type(other)
        assert one == other


def trajectory(env, actions):
    env.seed(11)
    env.set_options({"level": 2})
    yield env.reset(), env.reset_infos
    for action in actions:
        yield env.step(action), [dict(info) for info in env.reset_infos]
    yield env.reset(), env.reset_infos


def compare(makers, workers, actions):
    dummy, shared = DummyVecEnv(makers), SharedMemoryVecEnv(makers, workers=workers)
    try:
        assert dummy.observation_space == shared.observation_space
        assert dummy.metadata == shared.metadata
        pairs = zip(trajectory(dummy, actions), trajectory(shared, actions), strict=True)
        for expected, result in pairs:
            assert_same(expected, result)
    finally:
        dummy.close()
        shared.close()


@pytest.mark.parametrize(
    ("observation", "action", "workers"),
    [
        ("vector", "box", 1),
        ("double", "box", 3),
        ("image", "discrete", 2),
        ("dict", "multi_discrete", 2),
        ("tuple", "multi_binary", 2),
        ("discrete", "discrete", 5),
    ],
)
def test_trajectories_and_infos_are_those_of_the_dummy(observation, action, workers):
    space = ACTIONS[action]
    space.seed(3)
    actions = [np.stack([space.sample() for _ in range(NUM_ENVS)]) for _ in range(STEPS)]
    compare([partial(ZooEnv, observation, action)] * NUM_ENVS, workers, actions)


def test_actions_of_another_type_are_not_rounded():
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, 4, 2))
    assert actions.dtype == np.float64
    compare([ZooEnv] * 4, 2, actions)
    compare([ZooEnv] * 4, 2, actions.tolist())


def test_an_environment_may_keep_its_action():
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, 4, 2)).astype(np.float32)
    compare([KeepingEnv] * 4, 2, actions)


def test_terminal_observation_survives_an_environment_that_reuses_its_array():
    env = SharedMemoryVecEnv([ReusingEnv] * 2, workers=2)
    env.reset()
    for _ in range(3):
        observations, _, dones, infos = env.step(np.zeros((2, 2), np.float32))
    env.close()
    assert dones.all()
    assert (observations == 0).all()
    np.testing.assert_array_equal(infos[1]["terminal_observation"], np.full(3, 0.3, np.float32))


def test_results_of_a_step_are_not_overwritten_by_the_next():
    env = SharedMemoryVecEnv([partial(ZooEnv, "dict")] * 2, workers=2)
    env.seed(0)
    first = env.reset()
    before = first["image"].copy()
    _, rewards, _, _ = env.step(np.ones((2, 2), np.float32))
    kept = rewards.copy()
    env.step(np.ones((2, 2), np.float32))
    env.close()
    np.testing.assert_array_equal(first["image"], before)
    np.testing.assert_array_equal(rewards, kept)


def test_infos_can_be_left_to_episode_ends():
    env = SharedMemoryVecEnv([ZooEnv] * 2, workers=1, infos="ends")
    env.seed(0)
    env.reset()
    seen = set()
    for _ in range(30):
        _, _, dones, infos = env.step(np.zeros((2, 2), np.float32))
        for done, info in zip(dones, infos, strict=True):
            seen.add(bool(done))
            assert ("total" in info) == ("terminal_observation" in info) == done
            assert "TimeLimit.truncated" in info
    env.close()
    assert seen == {True, False}


def weights(workers):
    config = EnvConfig(id="SimpleRobot", max_episode_steps=25)
    env = make_vec_env(config, num_envs=4, seeds=[5, 6, 7, 8], workers=workers)
    try:
        model = PPO("MlpPolicy", env, n_steps=32, batch_size=32, n_epochs=2, seed=1, device="cpu")
        model.learn(256)
    finally:
        env.close()
    return {name: value.numpy() for name, value in model.policy.state_dict().items()}


def test_training_gives_bit_identical_weights_with_and_without_workers():
    alone, together = weights(0), weights(2)
    for name, value in alone.items():
        np.testing.assert_array_equal(value, together[name])


def test_every_environment_starts_from_its_own_seed():
    config = EnvConfig(id="SimpleRobot")
    results = []
    for workers in (0, 2):
        env = make_vec_env(config, num_envs=3, seeds=[9, 4, 9], workers=workers)
        results.append(env.reset())
        env.close()
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(results[0][0], results[0][2])
    assert not np.array_equal(results[0][0], results[0][1])
