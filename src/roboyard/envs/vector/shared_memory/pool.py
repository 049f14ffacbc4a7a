"""All worker processes together, as one vectorised environment without SB3's types."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import gymnasium
import numpy as np
from numpy.typing import NDArray

from roboyard.envs.vector.shared_memory.channel import dump, dump_by_value
from roboyard.envs.vector.shared_memory.infos import Info, Note, unpack_end, without_end
from roboyard.envs.vector.shared_memory.layout import (
    MAX_WORKERS,
    ObservationKey,
    SharedArrays,
    blocks,
    create_memory,
    map_arrays,
    plan,
    reserve,
)
from roboyard.envs.vector.shared_memory.registrations import custom_registrations
from roboyard.envs.vector.shared_memory.requests import Exchange
from roboyard.envs.vector.shared_memory.worker import Built, Setup
from roboyard.errors import ConfigError

InfoMode: TypeAlias = Literal["all", "ends"]
"""Which infos reach the parent: all that are not empty, or those of last steps only."""
MakeEnv: TypeAlias = Callable[[], gymnasium.Env[Any, Any]]
Observations: TypeAlias = dict[ObservationKey, NDArray[Any]]


class StepResult(NamedTuple):
    """One step of all environments; ended episodes have begun anew."""

    observations: Observations
    rewards: NDArray[np.float32]
    """(num_envs,)"""
    dones: NDArray[np.bool_]
    """(num_envs,)"""
    infos: list[Info]
    reset_infos: dict[int, Info]
    """Infos of the resets, by environment."""


class WorkerPool:
    """Environments in worker processes.

    An error in a constructor, ``step`` or ``reset``, or the death of a worker, closes the pool;
    errors in calls of other methods leave it usable. Not safe for use by several threads at once.
    """

    def __init__(self, makers: Sequence[MakeEnv], *, workers: int, infos: InfoMode = "all") -> None:
        """Start the workers and build the environments in them.

        Args:
            makers: One callable for each environment; what a main script defines may be used.
            workers: Processes, each with a contiguous block of environments; not more than
                there are environments are started.
            infos: Which infos reach the parent. ``"all"`` is what stepping in one process
                gives; an empty info costs nothing. ``"ends"`` drops all but those of last steps.

        Raises:
            ConfigError: The numbers or the spaces are unusable, or the copies differ.
            TrainingError: A constructor failed or a worker died in it; errors from Roboyard's
                own tree keep their type.
        """
        if not makers or not 1 <= workers <= MAX_WORKERS:
            raise ConfigError(
                f"{workers} worker processes for {len(makers)} environments are not possible; "
                f"allowed are 1 to {MAX_WORKERS}, for at least 1 environment."
            )
        self.num_envs = len(makers)
        memory = create_memory()
        try:
            self._exchange = Exchange(memory, blocks(len(makers), min(workers, len(makers))))
            try:
                self._build(makers, infos)
                self._share_memory(memory)
            except BaseException:
                self._exchange.close(seconds=1.0)
                raise
        finally:
            os.close(memory)

    def _build(self, makers: Sequence[MakeEnv], infos: InfoMode) -> None:
        workers = self._exchange.workers
        registrations = custom_registrations()
        for worker in workers:
            pickled = tuple(_pickle_maker(makers[index], index) for index in worker.block)
            setup = Setup(pickled, worker.block[0], infos == "all", registrations)
            self._exchange.request(worker, dump(("build", setup)))
        built: list[Built] = self._exchange.answers()
        self.observation_space, self.action_space, self.metadata = built[0]
        for worker, other in zip(workers, built, strict=True):
            if other[:2] != built[0][:2]:
                raise ConfigError(
                    f"environment {worker.block[0]} has other spaces than environment 0: "
                    f"{other[:2]}, not {built[0][:2]}. Copies must be alike."
                )

    def _share_memory(self, memory: int) -> None:
        layout = plan(self.observation_space, self.action_space, self.num_envs)
        reserve(memory, layout.size)
        self._exchange.arrays = map_arrays(memory, layout)
        for worker in self._exchange.workers:
            self._exchange.tell(worker, dump(("attach", self.num_envs)))

    @property
    def closed(self) -> bool:
        """Whether the workers are gone."""
        return self._exchange.closed

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return tuple(worker.pid for worker in self._exchange.workers)

    @property
    def blocks(self) -> tuple[range, ...]:
        """Indices of each worker's environments."""
        return tuple(worker.block for worker in self._exchange.workers)

    def reset(
        self, seeds: Sequence[int | None], options: Sequence[Mapping[str, Any] | None]
    ) -> tuple[Observations, list[Info]]:
        """Begin new episodes everywhere.

        Args:
            seeds: One for each environment; None continues its generator.
            options: One for each environment.

        Returns:
            Observations, and the infos of the resets.

        Raises:
            TrainingError: A reset failed or a worker died; errors from Roboyard's own tree keep
                their type.
        """
        self._exchange.begin("reset()")
        for worker in self._exchange.workers:
            rows = slice(worker.block.start, worker.block.stop)
            payload = dump_by_value(("reset", list(seeds[rows]), list(options[rows])))
            self._exchange.request(worker, payload)
        infos = [info for answer in self._exchange.answers() for info in answer]
        return self._read_observations(), infos

    def step_async(self, actions: NDArray[Any] | Sequence[Any]) -> None:
        """Let the workers step.

        Args:
            actions: One for each environment.

        Raises:
            ConfigError: The number of actions is wrong.
            TrainingError: A worker died.
        """
        exchange = self._exchange
        exchange.begin("step()")
        if len(actions) != self.num_envs:
            raise ConfigError(
                f"{len(actions)} actions were given for {self.num_envs} environments; "
                "give one for each."
            )
        shared = self._write_actions(actions)
        for worker in exchange.workers:
            part = None
            if not shared:  # passed on as they are, so that no conversion makes a difference
                rows = actions[worker.block.start : worker.block.stop]
                part = dump_by_value(("step", rows))
            exchange.request(worker, part)

    def step_wait(self) -> StepResult:
        """Wait for the step and return copies of its results.

        Raises:
            TrainingError: A step or reset failed or a worker died; errors from Roboyard's own
                tree keep their type.
        """
        answers = self._exchange.answers()
        infos: list[Info] = [{"TimeLimit.truncated": False} for _ in range(self.num_envs)]
        reset_infos: dict[int, Info] = {}
        for answer in answers:
            notes: list[Note] = answer or []
            for index, info, reset_info in notes:
                infos[index] = unpack_end(info) if isinstance(info, bytes) else without_end(info)
                if reset_info is not None:
                    reset_infos[index] = reset_info
        rewards, dones = self._arrays.rewards.copy(), self._arrays.dones.copy()
        return StepResult(self._read_observations(), rewards, dones, infos, reset_infos)

    def call(self, name: str, indices: Sequence[int], *arguments: object) -> list[Any]:
        """Call one of :data:`calls.CALLS` on some environments; returns results in that order.

        Raises:
            Exception: What the call raised, with the worker's traceback as its cause.
            TrainingError: A worker died.
        """
        self._exchange.begin(name)
        pickled = dump_by_value(arguments)
        asked: list[int] = []
        for worker in self._exchange.workers:
            mine = [index for index in indices if index in worker.block]
            if mine:
                asked += mine
                self._exchange.request(worker, dump(("call", name, mine, pickled)))
        answers = [result for answer in self._exchange.answers() for result in answer]
        results = dict(zip(asked, answers, strict=True))
        return [results[index] for index in indices]

    def close(self) -> None:
        """End the workers; more than once, or after a failure, does no harm."""
        self._exchange.close()

    @property
    def _arrays(self) -> SharedArrays:
        arrays = self._exchange.arrays
        assert arrays is not None, "begin() refuses closed workers"
        return arrays

    def _write_actions(self, actions: NDArray[Any] | Sequence[Any]) -> bool:
        """Write actions into shared memory, if that changes nothing about them."""
        shared = self._arrays.actions
        if shared is None or not isinstance(actions, np.ndarray):
            return False
        if actions.dtype != shared.dtype or actions.shape != shared.shape:
            return False
        shared[...] = actions
        return True

    def _read_observations(self) -> Observations:
        return {key: array.copy() for key, array in self._arrays.observations.items()}


def _pickle_maker(maker: MakeEnv, index: int) -> bytes:
    try:
        return dump_by_value(maker)
    except Exception as error:
        raise ConfigError(
            f"what makes environment {index} cannot be sent to a worker process ({error}). "
            "Keep open files, locks and simulators out of it, or set env.workers to 0."
        ) from error
