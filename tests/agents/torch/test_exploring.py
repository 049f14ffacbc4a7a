"""Off-policy policies remember their mode, and are in the one that is asked for."""

import copy

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from roboyard.agents import build_agent
from roboyard.testing.agent_configs import small_agent
from roboyard.testing.fake_envs import IMAGE, MIXED, VECTOR, FakeEnv, batch_of


def modes(policy):
    parts = (policy, *policy.actor.modules(), *policy.critic.modules())
    return {part.training for part in parts}


@pytest.fixture(params=["SAC", "TD3"])
def policy(request):
    agent = build_agent(small_agent(request.param), DummyVecEnv([FakeEnv]), seed=0)
    return agent.policy


def test_a_prediction_is_made_in_evaluation_mode_whatever_was_set_before(policy):
    observation = policy.observation_space.sample()
    for set_mode in (
        lambda: policy.set_training_mode(True),
        lambda: policy.train(),
        lambda: policy.actor.set_training_mode(True),
        lambda: policy.critic.train(),
    ):
        set_mode()
        policy.predict(observation)
        assert modes(policy) == {False}
    policy.set_training_mode(True)
    assert modes(policy) == {True}


def test_modules_are_walked_through_only_when_the_mode_changes(policy, monkeypatch):
    policy.set_training_mode(False)
    walked = []
    walk = nn.Module.train
    monkeypatch.setattr(nn.Module, "train", lambda self, mode: walked.append(1) or walk(self, mode))
    for _ in range(3):
        policy.predict(policy.observation_space.sample())
    assert not walked
    policy.set_training_mode(True)
    assert walked


def test_the_copy_of_a_policy_sets_its_own_mode(policy):
    policy.set_training_mode(False)
    other = copy.deepcopy(policy)
    other.set_training_mode(True)
    assert (modes(policy), modes(other)) == ({False}, {True})


@pytest.mark.parametrize("name", ["SAC", "TD3"])
@pytest.mark.parametrize("observation", [VECTOR, IMAGE, MIXED], ids=["vector", "image", "mixed"])
def test_an_agent_predicts_what_its_policy_does(name, observation):
    agent = build_agent(small_agent(name), DummyVecEnv([lambda: FakeEnv(observation)]), seed=0)
    batch = batch_of(observation, 3)
    for given in (batch, observation.sample()):
        mine, _ = agent.predict(given, deterministic=True)
        expected, _ = agent.policy.predict(given, deterministic=True)
        np.testing.assert_array_equal(mine, expected)
        assert mine.dtype == expected.dtype
    if observation is VECTOR:
        as_doubles, _ = agent.predict(batch.astype(np.float64), deterministic=True)
        np.testing.assert_allclose(as_doubles, agent.predict(batch, deterministic=True)[0])
