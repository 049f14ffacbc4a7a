"""Robot environments in this process as a stable_baselines3 ``VecEnv``."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy, deepcopy
from typing import Any, cast

import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from roboyard.envs.base import BaseRobotEnv
from roboyard.envs.vector.lockstep import step_together


class LocalVecEnv(DummyVecEnv):
    """SB3's ``DummyVecEnv``, except that the last observation of an episode is copied.

    An environment may use its arrays again at the reset, which follows at once.
    """

    def step_wait(self) -> VecEnvStepReturn:
        """Make a control step everywhere; ended episodes have begun anew."""
        infos: list[dict[str, Any]] = []
        for index, result in enumerate(self._results()):
            observation, self.buf_rews[index], terminated, truncated, given = result
            self.buf_dones[index] = done = bool(terminated or truncated)
            info = self._copied(given)
            info["TimeLimit.truncated"] = truncated and not terminated
            if done:
                info["terminal_observation"] = deepcopy(observation)
                observation, self.reset_infos[index] = self.envs[index].reset()
            self._save_obs(index, observation)
            infos.append(info)
        return self._obs_from_buf(), np.copy(self.buf_rews), np.copy(self.buf_dones), infos

    def _copied(self, info: dict[str, Any]) -> dict[str, Any]:
        return deepcopy(info)

    def _results(self) -> Iterable[Any]:
        """Yield what each environment's step returns; one begins when the last was read."""
        return (env.step(action) for env, action in zip(self.envs, self.actions, strict=True))


class LockstepVecEnv(LocalVecEnv):
    """Environments that can step side by side; what it returns is the same, bit for bit.

    Infos are copied without looking into what their tables and lists hold; a look takes as long
    as a tenth of a hopper's step.
    """

    def _copied(self, info: dict[str, Any]) -> dict[str, Any]:
        return {name: _copied(value) for name, value in info.items()}

    def _results(self) -> Iterable[Any]:
        envs = cast("list[BaseRobotEnv[Any, Any]]", self.envs)
        return step_together(envs, self.actions, _nobody)


def _copied(value: object) -> object:
    return copy(value) if isinstance(value, dict | list | np.ndarray) else value


def _nobody(entered: int) -> None:
    """Leave an error where it comes from: its traceback says enough."""
