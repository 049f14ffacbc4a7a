"""Numbers that are not finite are found, and named."""

import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents import build_agent
from roboyard.errors import TrainingError
from roboyard.testing.agent_configs import small_agent
from roboyard.testing.fake_envs import FakeEnv
from roboyard.training.monitoring.nan_check import check_parameters

LARGEST = torch.finfo(torch.float32).max
NAME = "actor.mu.0.weight"


@pytest.fixture
def agent():
    return build_agent(small_agent("TD3"), DummyVecEnv([FakeEnv]), seed=0)


@pytest.mark.parametrize("values", [[float("nan")], [float("inf")], [float("inf"), -float("inf")]])
def test_a_parameter_that_is_not_finite_is_named_with_the_step(agent, values):
    check_parameters(agent)
    weight = agent.policy.get_parameter(NAME).data.view(-1)
    weight[: len(values)] = torch.tensor(values)
    with pytest.raises(
        TrainingError, match=f"parameter '{NAME}' of the policy is not finite after"
    ):
        check_parameters(agent)


def test_parameters_whose_sum_alone_is_not_finite_are_let_be(agent):
    agent.policy.get_parameter(NAME).data.fill_(LARGEST)
    check_parameters(agent)
