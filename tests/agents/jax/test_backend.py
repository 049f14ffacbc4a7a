"""Choosing the jax backend: what it needs, and what it refuses."""

from __future__ import annotations

import sys

import pytest
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from roboyard.agents import build_agent
from roboyard.agents.backends import learner_class
from roboyard.agents.networks import ACTIVATIONS
from roboyard.errors import ConfigError, MissingDependencyError
from roboyard.testing.agent_configs import COMPILED_NAMES, small_agent
from roboyard.testing.fake_envs import FakeEnv


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'roboyard\[jax\]'"):
        learner_class(small_agent("PPO", backend="jax"))


def test_a_layer_that_cannot_be_compiled_is_named():
    ACTIVATIONS.register("softplus", nn.Softplus, replace=True)
    agent = small_agent("PPO", backend="jax", network={"activation": "softplus"})
    message = "agent.backend jax cannot compile the layer Softplus"
    with pytest.raises(ConfigError, match=message):
        build_agent(agent, DummyVecEnv([FakeEnv]), seed=0)


def test_an_accelerator_that_is_not_there_is_an_error_that_says_what_to_do():
    with pytest.raises(ConfigError, match="JAX finds no such device here"):
        build_agent(
            small_agent("PPO", backend="jax"), DummyVecEnv([FakeEnv]), seed=0, device="cuda"
        )


@pytest.mark.parametrize("name", COMPILED_NAMES)
def test_the_initial_weights_are_those_of_torch(name):
    first, second = (
        build_agent(small_agent(name, backend=backend), DummyVecEnv([FakeEnv]), seed=4)
        for backend in ("torch", "jax")
    )
    for ours, theirs in zip(first.policy.parameters(), second.policy.parameters(), strict=True):
        assert (ours == theirs).all()
