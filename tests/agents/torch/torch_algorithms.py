"""The algorithms of the torch backend, under the names that stable_baselines3 gives its own."""

from roboyard.agents.torch.a2c import A2C
from roboyard.agents.torch.ppo import PPO
from roboyard.agents.torch.sac import SAC
from roboyard.agents.torch.td3 import TD3

__all__ = ["A2C", "PPO", "SAC", "TD3"]
