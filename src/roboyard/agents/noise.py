"""Exploration noise for off-policy algorithms."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.noise import (
    ActionNoise,
    NormalActionNoise,
    OrnsteinUhlenbeckActionNoise,
    VectorizedActionNoise,
)

from roboyard.config.networks import ActionNoiseConfig

NOISES: dict[str, type[NormalActionNoise] | type[OrnsteinUhlenbeckActionNoise]] = {
    "normal": NormalActionNoise,
    "ornstein_uhlenbeck": OrnsteinUhlenbeckActionNoise,
}


def build_noise(config: ActionNoiseConfig, action_space: spaces.Box, num_envs: int) -> ActionNoise:
    """Return noise of the shape that the agent adds to its actions.

    Args:
        config: Kind and size; the size is in units of the normalised range [-1, 1].
        action_space: Space of one environment's action.
        num_envs: With more than one, each environment has a noise process of its own, so that
            the end of an episode resets only that environment's noise.
    """
    mean = np.zeros(action_space.shape)
    noise = NOISES[config.type](mean, np.full_like(mean, config.sigma))
    return noise if num_envs == 1 else VectorizedActionNoise(noise, num_envs)
