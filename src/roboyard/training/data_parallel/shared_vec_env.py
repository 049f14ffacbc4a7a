"""The environments of all processes as one ``VecEnv``; each process steps its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

from roboyard.envs.vector.shared_memory import InfoMode
from roboyard.training.data_parallel.group import Group


class SharedVecEnv(VecEnv):
    """Copies ``rank * B`` to ``rank * B + B - 1`` of a run live in the process of that rank.

    What comes back is what one process with all copies would return, bit for bit. Only the leader
    may call methods of copies, and only at a boundary, when the others listen.
    """

    def __init__(self, own: VecEnv, group: Group, infos: InfoMode) -> None:
        """Put the copies of all processes together.

        Args:
            own: The copies of this process, as many as every other process has.
            group: The processes.
            infos: Whether all infos are exchanged or only those of episode ends.
        """
        self._own = own
        self._group = group
        self._infos = infos
        self._first = group.rank * own.num_envs
        super().__init__(own.num_envs * group.workers, own.observation_space, own.action_space)
        self.metadata = own.metadata

    def reset(self) -> VecEnvObs:
        """Begin new episodes everywhere, with the seeds and options that are waiting."""
        self._own._seeds = self._seeds[self._block]
        self._own._options = self._options[self._block]
        observations = self._own.reset()
        self._reset_seeds()
        self._reset_options()
        parts = self._group.gather_objects((observations, self._own.reset_infos))
        self.reset_infos = [info for _, infos in parts for info in infos]
        return _joined([part for part, _ in parts])

    def step_async(self, actions: NDArray[Any]) -> None:
        """Let the copies of this process step; ``actions`` has one row per copy of all."""
        self._own.step_async(actions[self._block])

    def step_wait(self) -> VecEnvStepReturn:
        """Wait for the step of all processes; ended episodes have begun anew."""
        observations, rewards, dones, infos = self._own.step_wait()
        told = dones if self._infos == "ends" else np.ones_like(dones)
        columns = [*_columns(observations), rewards, dones, np.array([told.any()])]
        exchanged = self._group.gather(np.concatenate([_bytes(column) for column in columns]))
        tables = [_split(each, columns) for each in exchanged]
        joined = [np.concatenate(parts) for parts in zip(*tables, strict=True)]
        all_infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if joined[-1].any():
            kept = {self._first + i: info for i, info in enumerate(infos) if told[i]}
            for part in self._group.gather_objects(kept):
                for index, info in part.items():
                    all_infos[index] = info
        seen = joined[:-3]
        if isinstance(observations, dict):
            return dict(zip(observations, seen, strict=True)), joined[-3], joined[-2], all_infos
        return seen[0], joined[-3], joined[-2], all_infos

    def close(self) -> None:
        """Close the copies of this process."""
        self._own.close()

    def env_method(
        self,
        method_name: str,
        *method_args: object,
        indices: VecEnvIndices = None,
        **method_kwargs: object,
    ) -> list[Any]:
        """Call a method of some copies, wherever they are."""
        wanted = list(self._get_indices(indices))
        if all(self._is_own(index) for index in wanted):
            own = [index - self._first for index in wanted]
            return self._own.env_method(method_name, *method_args, indices=own, **method_kwargs)
        self._group.tell("call", method_name, method_args, method_kwargs, wanted)
        return self.call(method_name, method_args, method_kwargs, wanted)

    def call(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any], wanted: list[int]
    ) -> list[Any]:
        """Make this process's part of a call that all make together; return all results."""
        mine = [index for index in wanted if self._is_own(index)]
        own = [index - self._first for index in mine]
        results = self._own.env_method(name, *args, indices=own, **kwargs) if own else []
        found: dict[int, Any] = {}
        for part in self._group.gather_objects(dict(zip(mine, results, strict=True))):
            found |= part
        return [found[index] for index in wanted]

    def has_attr(self, attr_name: str) -> bool:
        """Return whether the copies have an attribute."""
        return self._own.has_attr(attr_name)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of copies, for all of which the first of this process speaks."""
        return self._own.get_attr(attr_name, indices=[0]) * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: object, indices: VecEnvIndices = None) -> None:
        """Refuse to change some of the copies."""
        raise NotImplementedError("copies in several processes cannot be given attributes")

    def env_is_wrapped(
        self,
        wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]],
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        """Return for each copy whether it is wrapped in the class; the first one speaks."""
        count = len(list(self._get_indices(indices)))
        return self._own.env_is_wrapped(wrapper_class, indices=[0]) * count

    @property
    def _block(self) -> slice:
        return slice(self._first, self._first + self._own.num_envs)

    def _is_own(self, index: int) -> bool:
        return self._first <= index < self._first + self._own.num_envs


def _columns(observations: VecEnvObs) -> list[NDArray[Any]]:
    if isinstance(observations, dict):
        return list(observations.values())
    return [cast("NDArray[Any]", observations)]


def _bytes(column: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(column).reshape(-1).view(np.uint8)


def _split(content: NDArray[np.uint8], like: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the arrays whose bytes were put together, with the shapes of this process's."""
    found, start = [], 0
    for column in like:
        part = content[start : start + column.nbytes]
        found.append(part.copy().view(column.dtype).reshape(column.shape))
        start += column.nbytes
    return found


def _joined(parts: list[Any]) -> VecEnvObs:
    if isinstance(parts[0], dict):
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return cast("VecEnvObs", np.concatenate(parts))
