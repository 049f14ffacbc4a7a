"""SB3's algorithms with the same arithmetic and a shorter update.

Each class derives from the stable_baselines3 class of its name, replaces ``train`` alone, and
gives the same weights bit for bit; what is not covered (features that are learnt and shared,
policies of the user's own) takes the parent's way.
"""

from roboyard.agents.fast.lanes import Lanes, ParallelLearner
from roboyard.agents.fast.ppo import PPO
from roboyard.agents.fast.sac import SAC
from roboyard.agents.fast.td3 import TD3

__all__ = ["PPO", "SAC", "TD3", "Lanes", "ParallelLearner"]
