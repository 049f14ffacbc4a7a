"""Environments in worker processes as a stable_baselines3 ``VecEnv``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)
from stable_baselines3.common.vec_env.util import dict_to_obs

from roboyard.envs.timing import WorkTime
from roboyard.envs.vector.shared_memory.methods import class_name
from roboyard.envs.vector.shared_memory.pool import InfoMode, MakeEnv, Observations, WorkerPool


class SharedMemoryVecEnv(VecEnv):
    """A few worker processes, each stepping several environments, over shared memory.

    Observations, rewards, ends and infos are those of SB3's ``DummyVecEnv``, bit for bit, with
    any number of workers. Two things are stricter: ``terminal_observation`` is copied before
    the reset, so an environment may reuse its arrays, and what an environment returns is never
    shared with it.
    """

    def __init__(self, makers: Sequence[MakeEnv], *, workers: int, infos: InfoMode = "all") -> None:
        """Start the workers and build the environments in them.

        Args:
            makers: One callable for each environment.
            workers: Processes; each steps a contiguous block of environments.
            infos: ``"all"`` infos, as one process gives them, or only those of episode
                ``"ends"``, which is all that SB3's algorithms read (except hindsight replay
                with ``copy_info_dict``).

        Raises:
            ConfigError: The numbers or the spaces are unusable, or the copies differ.
            TrainingError: A constructor failed or a worker died in it.
        """
        self._pool = WorkerPool(makers, workers=workers, infos=infos)
        try:
            super().__init__(len(makers), self._pool.observation_space, self._pool.action_space)
        except BaseException:
            self._pool.close()
            raise
        self.metadata = self._pool.metadata

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return self._pool.pids

    def work_times(self) -> list[list[WorkTime]]:
        """Return how long each worker's environments have worked since the first such call."""
        times = [WorkTime(*each) for each in self._call("work_time()", None)]
        return [times[block.start : block.stop] for block in self._pool.blocks]

    def reset(self) -> VecEnvObs:
        """Begin new episodes everywhere, with the seeds and options that are waiting."""
        observations, self.reset_infos = self._pool.reset(self._seeds, self._options)
        self._reset_seeds()
        self._reset_options()
        return self._convert(observations)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Let the workers step; ``actions`` has one row per environment."""
        self._pool.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Wait for the step; ended episodes have begun anew."""
        result = self._pool.step_wait()
        for index, info in result.reset_infos.items():
            self.reset_infos[index] = info
        return self._convert(result.observations), result.rewards, result.dones, result.infos

    def close(self) -> None:
        """End the workers; more than once, or after a failure, does no harm."""
        self._pool.close()

    def has_attr(self, attr_name: str) -> bool:
        """Return whether every environment has the attribute, whatever its value."""
        return all(self._call("has_attr()", None, attr_name))

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of each environment, through its wrappers."""
        return self._call("get_attr()", indices, attr_name)

    def set_attr(self, attr_name: str, value: object, indices: VecEnvIndices = None) -> None:
        """Set an attribute of each environment's outermost wrapper."""
        self._call("set_attr()", indices, attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: object,
        indices: VecEnvIndices = None,
        **method_kwargs: object,
    ) -> list[Any]:
        """Call a method of each environment; what it raises is raised here."""
        return self._call("env_method()", indices, method_name, method_args, method_kwargs)

    def env_is_wrapped(
        self,
        wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]],
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        """Return for each environment whether it is wrapped in the class."""
        return self._call("env_is_wrapped()", indices, class_name(wrapper_class))

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Render every environment."""
        if self.render_mode != "rgb_array":
            warnings.warn(
                f"environments render with mode {self.render_mode!r}, so there are no images; "
                "make them with render_mode='rgb_array'.",
                stacklevel=2,
            )
            return [None] * self.num_envs
        return self.env_method("render")

    def _call(self, name: str, indices: VecEnvIndices, *arguments: object) -> list[Any]:
        return self._pool.call(name, list(self._get_indices(indices)), *arguments)

    def _convert(self, observations: Observations) -> VecEnvObs:
        return dict_to_obs(self.observation_space, observations)
