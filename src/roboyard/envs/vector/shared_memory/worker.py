"""What runs in a worker process: a block of environments, and a loop that serves the parent."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import gymnasium
from numpy.typing import NDArray

from roboyard.envs.streams import seed_globals
from roboyard.envs.vector.shared_memory.channel import (
    FAILED,
    FATAL,
    MESSAGE,
    STEP,
    DisconnectedError,
    WorkerChannel,
    dump,
)
from roboyard.envs.vector.shared_memory.failure import describe
from roboyard.envs.vector.shared_memory.infos import Note, pack_end
from roboyard.envs.vector.shared_memory.layout import map_arrays, map_progress, plan
from roboyard.envs.vector.shared_memory.methods import CALLS
from roboyard.envs.vector.shared_memory.parent_death import tie_to_parent
from roboyard.envs.vector.shared_memory.registrations import adopt_registrations

AnyEnv = gymnasium.Env[Any, Any]
StepEnvs = Callable[[Sequence[Any], Any, Callable[[int], None]], Iterator[Any]]
"""From environments, their actions and who is told where it is at to the results of steps."""


class Setup(NamedTuple):
    """The first message: what to build."""

    makers: tuple[bytes, ...]
    """Pickled callables that return the environments of the block."""
    first: int
    """Index of the first of them among all."""
    all_infos: bool
    """Send every info that is not empty, or only those of an episode's last step."""
    registrations: tuple[bytes, ...]


class Built(NamedTuple):
    """The answer: what the environments are like."""

    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]
    metadata: dict[str, Any]


class Worker:
    """The state of a worker process."""

    def __init__(self, number: int, connection: WorkerChannel, memory: int) -> None:
        self._number = number
        self._channel = connection
        self._memory = memory
        self._progress = map_progress(memory)
        self._envs: list[AnyEnv] = []
        self._first = 0
        self._at = 0
        self._doing = "the constructor"

    def serve(self) -> None:
        """Serve until the parent says close or is gone."""
        try:
            while True:
                kind = self._channel.receive_kind()
                if kind == STEP:
                    self._step_block(self._actions[self._rows].copy())
                elif not self._serve_message(*pickle.loads(self._channel.receive_payload())):
                    return
        except DisconnectedError:
            return
        except BaseException as error:
            self._report(FATAL, error)
        finally:
            self._close_envs()

    def _serve_message(self, name: str, *arguments: Any) -> bool:  # noqa: ANN401
        if name == "call":
            self._call(*arguments)
        elif name == "step":
            self._step_block(*arguments)
        elif name == "reset":
            self._reply(self._reset(*arguments))
        elif name == "build":
            self._reply(self._build(*arguments))
        elif name == "attach":
            self._attach(*arguments)
        return name != "close"

    def _build(self, setup: Setup) -> Built:
        adopt_registrations(setup.registrations)
        self._first = setup.first
        self._all_infos = setup.all_infos
        for number, maker in enumerate(setup.makers):
            self._note_progress(number)
            self._envs.append(pickle.loads(maker)())
        self._step_envs = _choose_stepping(self._envs)
        gc.collect()
        gc.freeze()  # what was built stays: no collection in mid-step has to look at it
        env = self._envs[0]
        return Built(env.observation_space, env.action_space, env.metadata)

    def _attach(self, num_envs: int) -> None:
        env = self._envs[0]
        arrays = map_arrays(self._memory, plan(env.observation_space, env.action_space, num_envs))
        os.close(self._memory)
        rows = slice(self._first, self._first + len(self._envs))
        self._rows = rows
        self._actions: Any = arrays.actions
        self._rewards = arrays.rewards[rows]
        self._dones = arrays.dones[rows]
        self._observations = {key: array[rows] for key, array in arrays.observations.items()}
        self._plain = self._observations.get(None)

    def _step_block(self, actions: Sequence[Any] | NDArray[Any]) -> None:
        self._doing = "step()"
        notes: list[Note] = []
        rewards, dones = self._rewards, self._dones
        results = self._step_envs(self._envs, actions, self._note_progress)
        for number, result in enumerate(results):
            observation, rewards[number], terminated, truncated, info = result
            done = bool(terminated or truncated)
            dones[number] = done
            if done:
                end = pack_end(info, observation, truncated and not terminated)
                self._doing = "reset()"
                observation, reset_info = self._envs[number].reset()
                self._doing = "step()"
                notes.append((self._first + number, end, reset_info))
            elif info and self._all_infos:
                notes.append((self._first + number, info, None))
            self._store(number, observation)
        if notes:
            self._reply(notes)
        else:
            self._channel.signal(STEP)

    def _reset(self, seeds: Sequence[int | None], options: Sequence[Any]) -> list[dict[str, Any]]:
        self._doing = "reset()"
        if seeds[0] is not None:  # for environments that draw from the process's generators
            seed_globals(seeds[0])
        infos = []
        for number, env in enumerate(self._envs):
            self._note_progress(number)
            given = {"options": options[number]} if options[number] else {}
            observation, info = env.reset(seed=seeds[number], **given)
            self._store(number, observation)
            infos.append(info)
        return infos

    def _store(self, number: int, observation: Any) -> None:  # noqa: ANN401
        if self._plain is not None:
            self._plain[number] = observation
        else:
            for key, array in self._observations.items():
                array[number] = observation[key]

    def _call(self, name: str, indices: Sequence[int], arguments: bytes) -> None:
        """Call methods and attributes; what they raise leaves the worker alive."""
        self._doing = name
        try:
            given = pickle.loads(arguments)
            results = []
            for index in indices:
                self._note_progress(index - self._first)
                results.append(CALLS[name](self._envs[index - self._first], *given))
            payload = dump(results)
        except Exception as error:
            self._report(FAILED, error)
        else:
            self._channel.send(MESSAGE, payload)

    def _reply(self, value: object) -> None:
        self._channel.send(MESSAGE, dump(value))

    def _report(self, kind: bytes, error: BaseException) -> None:
        failure = describe(error, self._first + self._at, self._doing)
        self._channel.send(kind, pickle.dumps(failure))

    def _note_progress(self, number: int) -> None:
        self._at = number
        self._progress[self._number] = self._first + number

    def _close_envs(self) -> None:
        for env in self._envs:
            with contextlib.suppress(Exception):  # the parent has what it came for
                env.close()


def _choose_stepping(envs: Sequence[AnyEnv]) -> StepEnvs:
    if "roboyard.envs.base" not in sys.modules:
        return _step_in_turn  # without the import, which would bring PyBullet
    from roboyard.envs.vector.lockstep import can_step_together, step_together

    return step_together if can_step_together(envs) else _step_in_turn


def _step_in_turn(
    envs: Sequence[AnyEnv], actions: Sequence[Any] | NDArray[Any], enter: Callable[[int], None]
) -> Iterator[Any]:
    for number, env in enumerate(envs):
        enter(number)
        yield env.step(actions[number])


def main(arguments: Sequence[str]) -> None:
    """Run a worker process; the arguments are numbers, see ``process._launch``."""
    # Whether and when to stop is the parent's to decide, also where a scheduler signals them all;
    # it needs the workers for its last checkpoint, and takes them with it whatever happens.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    worker, parent, by_main_thread, read, write, lifeline, memory, crash = map(int, arguments)
    for descriptor in (read, write, lifeline, memory, crash):
        os.set_inheritable(descriptor, False)
    tie_to_parent(lifeline, parent, to_its_main_thread=bool(by_main_thread))
    faulthandler.enable(crash)
    Worker(worker, WorkerChannel(read, write), memory).serve()
