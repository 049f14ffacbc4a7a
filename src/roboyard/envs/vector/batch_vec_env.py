"""Environments of one native task as a ``VecEnv``: one call steps all, without workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from roboyard.envs.native.env import NativeEnv
from roboyard.resources import available_cores
from roboyard.sim.mujoco.native import Stepper, read_into


class BatchVecEnv(DummyVecEnv):
    """Steps native environments as one; trajectories are those of each alone, bit for bit."""

    def __init__(
        self, makers: list[Callable[[], gymnasium.Env[Any, Any]]], threads: int | None = None
    ) -> None:
        """Make the environments.

        Args:
            makers: Of environments of one native task.
            threads: Threads that step; by default one a core. They change nothing but the speed.
        """
        super().__init__(makers)
        first = self._natives[0]
        self._terms = first.terms
        self._tables = self._terms.tables(self.num_envs, first.sim.data)
        self._stepper = Stepper(min(threads or available_cores(), self.num_envs))

    @property
    def _natives(self) -> list[NativeEnv]:
        return cast("list[NativeEnv]", self.envs)

    def step_wait(self) -> VecEnvStepReturn:
        """Make a control step everywhere; ended episodes have begun anew."""
        envs, tables, terms = self._natives, self._tables, self._terms
        sims = [env.sim for env in envs]
        # Environments may have been reset or restored on their own since the last step.
        for row, sim in enumerate(sims):
            read_into(sim, tables, row)
        before = terms.forward(tables)
        self._stepper.step(sims, self.actions, terms.task.frame_skip, tables)
        well = terms.healthy(tables)
        rewards, _ = terms.reward(tables, self.actions, before, well)
        observations = terms.observe(tables)
        infos: list[dict[str, Any]] = []
        for row, env in enumerate(envs):
            env.elapsed += 1
            cut = env.is_cut
            self.buf_dones[row] = done = bool(cut or not well[row])
            info: dict[str, Any] = {"TimeLimit.truncated": bool(cut and well[row])}
            if done:
                info["terminal_observation"] = observations[row].copy()
                observations[row], self.reset_infos[row] = env.reset()
            infos.append(info)
        for row in range(self.num_envs):
            self._save_obs(row, observations[row])
        return self._obs_from_buf(), rewards.astype(np.float32), self.buf_dones.copy(), infos

    def close(self) -> None:
        """End the threads and the environments."""
        self._stepper.close()
        super().close()
