"""How weights are drawn."""

from __future__ import annotations

import gymnasium
import torch
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents.factory import build_agent
from roboyard.config.load import load


def test_torch_leaves_the_weights_that_layers_are_made_with() -> None:
    source = {
        "name": "weights",
        "env": {"id": "Pendulum-v1"},
        "agent": {"algorithm": "PPO", "network": {"actor": [64], "critic": [64], "init": "torch"}},
        "train": {"total_steps": 1},
    }
    venv = DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")])
    policy = build_agent(load(source).agent, venv, seed=0).policy
    for layer in (policy.mlp_extractor.policy_net[0], policy.action_net):
        # Torch draws weights and biases evenly between -1/sqrt(fan in) and its opposite.
        bound = layer.in_features**-0.5
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert torch.count_nonzero(layer.bias)
    venv.close()
