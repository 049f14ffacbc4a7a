"""Robot environments in this process as a stable_baselines3 ``VecEnv``."""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any, cast

import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from roboyard.envs.base import BaseRobotEnv
from roboyard.envs.vector.lockstep import step_together


class LockstepVecEnv(DummyVecEnv):
    """SB3's ``DummyVecEnv`` for environments that can step side by side.

    What it returns is the same, bit for bit. Infos are copied without looking into what their
    tables and lists hold; SB3 looks, which takes as long as a tenth of a hopper's step.
    """

    def step_wait(self) -> VecEnvStepReturn:
        """Make a control step everywhere; ended episodes have begun anew."""
        infos: list[dict[str, Any]] = []
        envs = cast("list[BaseRobotEnv[Any, Any]]", self.envs)
        for index, result in enumerate(step_together(envs, self.actions, _nobody)):
            observation, self.buf_rews[index], terminated, truncated, given = result
            self.buf_dones[index] = done = bool(terminated or truncated)
            info = {name: _copied(value) for name, value in given.items()}
            info["TimeLimit.truncated"] = truncated and not terminated
            if done:
                # Whole, because the environment may use its arrays again.
                info["terminal_observation"] = deepcopy(observation)
                observation, self.reset_infos[index] = self.envs[index].reset()
            self._save_obs(index, observation)
            infos.append(info)
        return self._obs_from_buf(), np.copy(self.buf_rews), np.copy(self.buf_dones), infos


def _copied(value: object) -> object:
    return copy(value) if isinstance(value, dict | list | np.ndarray) else value


def _nobody(entered: int) -> None:
    """Leave an error where it comes from: its traceback says enough."""
