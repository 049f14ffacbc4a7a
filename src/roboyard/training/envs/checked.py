"""Environments that stop at the first number that is not finite."""

from __future__ import annotations

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from roboyard.training.monitoring import nan_check


class CheckedVecEnv(VecEnvWrapper):
    """Checks observations and rewards as the environments return them.

    It belongs inside the normaliser: once a NaN is in a running mean, every copy's values are
    NaN, and nobody can say where it came from.
    """

    def __init__(self, venv: VecEnv) -> None:
        """Check what ``venv`` returns."""
        super().__init__(venv)
        self.steps = 0
        """Control steps done, for the messages."""

    def reset(self) -> VecEnvObs:
        """Reset all copies.

        Raises:
            TrainingError: An observation is not finite.
        """
        observations = self.venv.reset()
        nan_check.check_observations(observations, self.steps)
        return observations

    def step_wait(self) -> VecEnvStepReturn:
        """Wait for the step of all copies.

        Raises:
            TrainingError: An observation or a reward is not finite.
        """
        observations, rewards, dones, infos = self.venv.step_wait()
        self.steps += self.num_envs
        for copy in np.flatnonzero(dones):
            last = infos[copy].get("terminal_observation")
            if last is not None:
                nan_check.check_terminal(last, int(copy), self.steps)
        nan_check.check_observations(observations, self.steps)
        nan_check.check_rewards(rewards, self.steps)
        return observations, rewards, dones, infos
