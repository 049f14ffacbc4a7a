"""SB3's algorithms with the same arithmetic in less time.

Each class derives from the stable_baselines3 class of its name, replaces how rollouts are
collected or how the networks learn, and gives the same weights, but for rounding in the actors of
SAC and TD3; what is not covered (features that are learnt and shared, policies of the user's own)
takes the parent's way.
"""

from roboyard.agents.fast.lanes import Lanes
from roboyard.agents.fast.learners import ParallelLearner
from roboyard.agents.fast.others import A2C, TRPO
from roboyard.agents.fast.ppo import PPO
from roboyard.agents.fast.rollouts import OverlappedRollouts
from roboyard.agents.fast.sac import SAC
from roboyard.agents.fast.td3 import TD3

__all__ = ["A2C", "PPO", "SAC", "TD3", "TRPO", "Lanes", "OverlappedRollouts", "ParallelLearner"]
