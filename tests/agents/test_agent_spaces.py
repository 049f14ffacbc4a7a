"""Images come channels first, below the normaliser; only numbers are worth normalising."""

import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize, VecTransposeImage

from roboyard.agents import build_agent
from roboyard.agents.spaces import channels_first, keys_to_normalize
from roboyard.testing.agent_configs import small_agent
from roboyard.testing.fake_envs import FORCE, IMAGE, MIXED, VECTOR, FakeEnv


def make_env(observation_space):
    return DummyVecEnv([lambda: FakeEnv(observation_space, FORCE)] * 2)


@pytest.mark.parametrize(("space", "wrapped"), [(VECTOR, False), (IMAGE, True), (MIXED, True)])
def test_only_images_are_wrapped_and_only_once(space, wrapped):
    env = channels_first(make_env(space))
    assert isinstance(env, VecTransposeImage) == wrapped
    assert channels_first(env) is env


@pytest.mark.parametrize("name", ["SAC", "PPO"])
def test_an_agent_learns_from_normalised_numbers_beside_images(name):
    env = VecNormalize(channels_first(make_env(MIXED)), norm_obs_keys=keys_to_normalize(MIXED))
    build_agent(small_agent(name), env, seed=0).learn(16)
    assert env.obs_rms["joints"].count > 16
    assert list(env.obs_rms) == ["joints"]


def test_one_array_has_no_keys():
    assert keys_to_normalize(VECTOR) is None
