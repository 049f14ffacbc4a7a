"""All worker processes together, as one vectorised environment without SB3's types."""

from __future__ import annotations

import contextlib
import os
import pickle
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import gymnasium
import numpy as np
from numpy.typing import NDArray

from roboyard.envs.shared import channel as wire
from roboyard.envs.shared import layout
from roboyard.envs.shared.channel import DisconnectedError, dump, dump_by_value
from roboyard.envs.shared.failure import death, to_exception
from roboyard.envs.shared.layout import ObservationKey
from roboyard.envs.shared.process import WorkerProcess
from roboyard.envs.shared.registrations import custom_registrations
from roboyard.envs.shared.worker import Built, Note, Setup
from roboyard.errors import ConfigError, TrainingError

InfoMode: TypeAlias = Literal["all", "ends"]
"""Which infos reach the parent: all that are not empty, or those of last steps only."""
MakeEnv: TypeAlias = Callable[[], gymnasium.Env[Any, Any]]
Observations: TypeAlias = dict[ObservationKey, NDArray[Any]]
Info: TypeAlias = dict[str, Any]

_CLOSE_S: Final = 5.0
"""How long environments may take to close before their process is killed."""
_FAILED_CLOSE_S: Final = 1.0
_CHECK_MS: Final = 500
"""How often to look for other dead workers while one takes its time."""


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

    Every request to the workers is answered before the next one, so an interrupted call
    (Ctrl-C) leaves answers behind that the next call takes out of the way first. An error in a
    constructor, ``step`` or ``reset``, or the death of a worker, closes the pool; calls of other
    methods leave it usable. Not safe for use by several threads at once.
    """

    def __init__(self, makers: Sequence[MakeEnv], *, workers: int, infos: InfoMode = "all") -> None:
        """Start the workers and build the environments in them.

        Args:
            makers: One callable for each environment; what a main script defines may be used.
            workers: Processes, each with a contiguous block of environments; not more than
                there are environments are started.
            infos: Which infos reach the parent. ``"all"`` is what stepping in one process
                gives; an empty info costs nothing. ``"ends"`` drops the others' infos.

        Raises:
            ConfigError: The numbers or the spaces are unusable, or the copies differ.
            TrainingError: A constructor failed or a worker died in it; errors from Roboyard's
                own tree keep their type.
        """
        if not makers or not 1 <= workers <= layout.MAX_WORKERS:
            raise ConfigError(
                f"{workers} worker processes for {len(makers)} environments are not possible; "
                f"allowed are 1 to {layout.MAX_WORKERS}, for at least 1 environment."
            )
        self.num_envs = len(makers)
        self._workers: list[WorkerProcess] = []
        self._pending: list[WorkerProcess] = []
        self._doing = "the constructor"
        memory = layout.create_memory()
        self._progress = layout.map_progress(memory)
        self._end = weakref.finalize(self, _shut_down, self._workers, os.getpid())
        try:
            blocks = layout.blocks(self.num_envs, min(workers, self.num_envs))
            for number, block in enumerate(blocks):
                self._workers.append(WorkerProcess(number, block, memory))
            self._build(makers, infos, memory)
        except BaseException:
            self._fail()
            raise
        finally:
            os.close(memory)

    def _build(self, makers: Sequence[MakeEnv], infos: InfoMode, memory: int) -> None:
        registrations = custom_registrations()
        for worker in self._workers:
            pickled = tuple(_pickle_maker(makers[index], index) for index in worker.block)
            setup = Setup(pickled, worker.block[0], infos == "all", registrations)
            self._request(worker, dump(("build", setup)))
        built: list[Built] = self._answers()
        self.observation_space, self.action_space, self.metadata = built[0]
        for worker, other in zip(self._workers, built, strict=True):
            if other[:2] != built[0][:2]:
                raise ConfigError(
                    f"environment {worker.block[0]} has other spaces than environment 0: "
                    f"{other[:2]}, not {built[0][:2]}. Copies must be alike."
                )
        plan = layout.plan(self.observation_space, self.action_space, self.num_envs)
        layout.reserve(memory, plan.size)
        self._arrays = layout.map_arrays(memory, plan)
        for worker in self._workers:
            self._send(worker, dump(("attach", self.num_envs)))

    @property
    def closed(self) -> bool:
        """Whether the workers are gone."""
        return not self._end.alive

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return tuple(worker.pid for worker in self._workers)

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
        self._begin("reset()")
        for worker in self._workers:
            rows = slice(worker.block.start, worker.block.stop)
            self._request(worker, dump_by_value(("reset", list(seeds[rows]), list(options[rows]))))
        infos = [info for answer in self._answers() for info in answer]
        return self._read_observations(), infos

    def step_async(self, actions: NDArray[Any] | Sequence[Any]) -> None:
        """Let the workers step.

        Args:
            actions: One for each environment.

        Raises:
            ConfigError: The number of actions is wrong.
            TrainingError: A worker died.
        """
        self._begin("step()")
        if len(actions) != self.num_envs:
            raise ConfigError(
                f"{len(actions)} actions were given for {self.num_envs} environments; "
                "give one for each."
            )
        if self._share(actions):
            for worker in self._workers:
                self._request(worker, None)
        else:  # passed on as they are, so that no conversion makes a difference
            for worker in self._workers:
                part = actions[worker.block.start : worker.block.stop]
                self._request(worker, dump_by_value(("step", part)))

    def _share(self, actions: NDArray[Any] | Sequence[Any]) -> bool:
        """Write actions into shared memory, if that changes nothing about them."""
        shared = self._arrays.actions
        if shared is None or not isinstance(actions, np.ndarray):
            return False
        if actions.dtype != shared.dtype or actions.shape != shared.shape:
            return False
        shared[...] = actions
        return True

    def step_wait(self) -> StepResult:
        """Wait for the step and return copies of its results.

        Raises:
            TrainingError: A step or reset failed or a worker died; errors from Roboyard's own
                tree keep their type.
        """
        answers = self._answers()
        infos: list[Info] = [{"TimeLimit.truncated": False} for _ in range(self.num_envs)]
        reset_infos: dict[int, Info] = {}
        for answer in answers:
            note: Note
            for note in answer or ():
                note.info.setdefault("TimeLimit.truncated", False)
                infos[note.env_index] = note.info
                if note.reset_info is not None:
                    reset_infos[note.env_index] = note.reset_info
        rewards, dones = self._arrays.rewards.copy(), self._arrays.dones.copy()
        return StepResult(self._read_observations(), rewards, dones, infos, reset_infos)

    def call(self, name: str, indices: Sequence[int], *arguments: object) -> list[Any]:
        """Call one of :data:`calls.CALLS` on some environments; returns results in that order.

        Raises:
            Exception: What the call raised, with the worker's traceback as its cause.
            TrainingError: A worker died.
        """
        self._begin(name)
        pickled = dump_by_value(arguments)
        asked: list[list[int]] = []
        for worker in self._workers:
            mine = [index for index in indices if index in worker.block]
            if mine:
                asked.append(mine)
                self._request(worker, dump(("call", name, mine, pickled)))
        answers = self._answers()
        results = {
            index: result
            for mine, answer in zip(asked, answers, strict=True)
            for index, result in zip(mine, answer, strict=True)
        }
        return [results[index] for index in indices]

    def close(self) -> None:
        """End the workers; more than once, or after a failure, does no harm."""
        self._pending.clear()
        self._end()
        self._release_memory()

    def _begin(self, doing: str) -> None:
        if self.closed:
            raise TrainingError("the environments are closed; make them anew.")
        if self._pending:
            self._answers()
        self._doing = doing

    def _request(self, worker: WorkerProcess, payload: bytes | None) -> None:
        """Send something that will be answered; no payload means a step."""
        self._send(worker, payload)
        self._pending.append(worker)

    def _send(self, worker: WorkerProcess, payload: bytes | None) -> None:
        try:
            if payload is None:
                worker.channel.signal(wire.STEP)
            else:
                worker.channel.send(wire.MESSAGE, payload)
        except DisconnectedError:
            raise self._fatal(worker) from None

    def _answers(self) -> list[Any]:
        """Wait for every pending answer, in order of the workers."""
        answers, failures = [], []
        while self._pending:
            worker = self._pending[0]
            while not worker.wait(_CHECK_MS):
                self._look_for_the_dead()
            kind, value = self._read(worker)
            del self._pending[0]
            answers.append(value)
            if kind == wire.FAILED:
                failures.append(value)
        if failures:
            raise to_exception(failures[0], keep_type=True)
        return answers

    def _read(self, worker: WorkerProcess) -> tuple[bytes, Any]:
        if worker.is_speechless():
            raise self._fatal(worker)
        try:
            kind = worker.channel.receive_kind()
            if kind == wire.STEP:
                return kind, None
            value = pickle.loads(worker.channel.receive_payload())
        except DisconnectedError:
            raise self._fatal(worker) from None
        if kind == wire.FATAL:
            self._fail()
            raise to_exception(value, keep_type=False)
        return kind, value

    def _look_for_the_dead(self) -> None:
        for worker in self._workers:
            if worker not in self._pending[:1] and worker.exit_code(0) is not None:
                if worker in self._pending:
                    self._read(worker)  # raises what it said last, or that it said nothing
                raise self._fatal(worker)

    def _fatal(self, worker: WorkerProcess) -> TrainingError:
        """Close everything; return the error for a worker that ended without a word."""
        code = worker.exit_code(_FAILED_CLOSE_S)
        index = int(self._progress[worker.number])
        stack = worker.crash_stack()
        self._fail()
        return death(worker=worker.number, index=index, doing=self._doing, code=code, stack=stack)

    def _fail(self) -> None:
        self._pending.clear()
        if self._end.detach():
            _shut_down(self._workers, os.getpid(), _FAILED_CLOSE_S)
        self._release_memory()

    def _release_memory(self) -> None:
        # At once, not with the pool: the traceback of an error may hold the pool for long.
        for name in ("_arrays", "_progress"):
            self.__dict__.pop(name, None)

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


def _shut_down(workers: list[WorkerProcess], owner: int, seconds: float = _CLOSE_S) -> None:
    if os.getpid() != owner:
        return  # a forked child must not end its parent's workers
    for worker in workers:
        with contextlib.suppress(DisconnectedError):
            worker.channel.send(wire.MESSAGE, dump(("close",)))
    deadline = time.monotonic() + seconds
    for worker in workers:
        worker.end(deadline)
    workers.clear()
