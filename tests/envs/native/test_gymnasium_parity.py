"""Gymnasium's own tasks are the same here, step by step."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from roboyard.envs.native.env import NativeEnv

TASKS = {
    "hopper-v5": "Hopper-v5",
    "walker2d-v5": "Walker2d-v5",
    "halfcheetah-v5": "HalfCheetah-v5",
    "ant-v5": "Ant-v5",
    "humanoid-v5": "Humanoid-v5",
}
TOLERANCE = 1e-9


def largest_difference(name: str, seed: int, steps: int) -> float:
    peer, env = gymnasium.make(TASKS[name]), NativeEnv(name)
    expected, _ = peer.reset(seed=seed)
    seen, _ = env.reset(seed=seed)
    peer.action_space.seed(seed)
    worst = np.abs(expected - seen).max()
    for _ in range(steps):
        action = peer.action_space.sample()
        expected, reward, terminated, truncated, _ = peer.step(action)
        seen, own, ended, cut, _ = env.step(action)
        assert (ended, cut) == (terminated, truncated)
        worst = max(worst, np.abs(expected - seen).max(), abs(float(reward) - own))
        if terminated or truncated:
            expected, _ = peer.reset()
            seen, _ = env.reset()
            worst = max(worst, np.abs(expected - seen).max())
    return float(worst)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_equals_that_of_gymnasium(name: str) -> None:
    assert largest_difference(name, seed=0, steps=100) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("seed", range(5))
def test_a_task_equals_that_of_gymnasium_over_whole_episodes(name: str, seed: int) -> None:
    assert largest_difference(name, seed, steps=1000) <= TOLERANCE
