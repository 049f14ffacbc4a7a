"""The normaliser gives SB3's bits."""

import copy

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from roboyard.testing.fake_envs import FORCE, IMAGE, MIXED, VECTOR, FakeEnv
from roboyard.training.envs.normalized import NormalizedVecEnv

DOUBLE = spaces.Box(-np.inf, np.inf, (2, 3), np.float64)
CASES = {
    "a vector": (VECTOR, {}),
    "doubles": (DOUBLE, {"gamma": 0.9, "epsilon": 1e-4}),
    "narrow limits": (VECTOR, {"clip_obs": 0.5, "clip_reward": 0.3}),
    "an image": (IMAGE, {}),
    "a dictionary": (MIXED, {}),
    "one key": (MIXED, {"norm_obs_keys": ["joints"]}),
    "rewards alone": (VECTOR, {"norm_obs": False}),
    "observations alone": (VECTOR, {"norm_reward": False}),
    "statistics that stand": (VECTOR, {"training": False}),
}


def everything(envs, steps):
    """Return all that an agent and a checkpoint get to see of environments."""
    envs.seed(0)
    seen = [envs.reset()]
    rng = np.random.default_rng(0)
    for _ in range(steps):
        seen.append(copy.deepcopy(envs.step(rng.uniform(0, 2, (3, 2)).astype(np.float32))))
        seen.append([envs.get_original_obs(), envs.get_original_reward(), envs.returns])
    statistics = getattr(envs, "obs_rms", {})
    named = statistics if isinstance(statistics, dict) else {"": statistics}
    for each in (envs.ret_rms, *named.values()):
        seen.append([each.mean, each.var, each.count])
    return seen


@pytest.mark.parametrize("case", CASES)
def test_what_it_gives_and_learns_are_those_of_sb3(case):
    observation, settings = CASES[case]
    theirs, ours = (
        everything(cls(DummyVecEnv([lambda: FakeEnv(observation, FORCE)] * 3), **settings), 20)
        for cls in (VecNormalize, NormalizedVecEnv)
    )
    assert_same(theirs, ours)


def assert_same(one, other):
    if isinstance(one, dict):
        assert list(one) == list(other)
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    else:
        assert np.asarray(one).dtype == np.asarray(other).dtype
        np.testing.assert_array_equal(one, other)
