"""Whether an environment repeats itself: a stretch of the run is done again in a fresh copy.

What a snapshot leaves out cannot be seen in it; it shows when steps that were taken after the
snapshot are taken again from it and come out differently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from roboyard.config.schema import EnvConfig
from roboyard.envs.recorded import make_resumable_env
from roboyard.envs.vector.lockstep_vec_env import LocalVecEnv
from roboyard.training.callbacks.base import Boundary, RunCallback
from roboyard.training.envs.stack import base_envs
from roboyard.training.seeding import preserved_generators

SHORTEST: Final = 16
LONGEST: Final = 256
"""Steps of the first stretch, and of the longest; each is twice as long as the one before."""


class Seen(NamedTuple):
    """What came of one step of the first copy."""

    action: Any
    reward: float
    digest: bytes
    """Of the observation, the end, and the last observation of an episode."""


class RepetitionCallback(RunCallback):
    """Repeats stretches of the first copy's steps, at moments that get rarer.

    Each begins at a boundary, when the run is twice as long as at the end of the one before.
    """

    def __init__(self, venv: VecEnv, config: EnvConfig, seed: int) -> None:
        """Repeat what happens in ``venv``.

        Args:
            venv: The training environments.
            config: What a fresh copy is made from.
            seed: Of the first copy's first reset.
        """
        super().__init__()
        self.count = 0
        """How many stretches were repeated exactly."""
        self.problem = ""
        """How a repeated stretch differed; empty if none did."""
        self._venv = base_envs(venv)
        self._config = config
        self._seed = seed
        self._next = 1
        self._size = SHORTEST
        self._start = 0
        self._snapshot = b""
        self._recorder: _Recorder | None = None

    def on_boundary(self, boundary: Boundary) -> None:
        """Begin a stretch, or repeat the one that is long enough."""
        if self._recorder is not None:
            if len(self._recorder.steps) >= self._size:
                steps = self._recorder.stop()
                self._recorder = None
                self._repeat(steps[: 4 * self._size])
                self._next = 2 * boundary.step
                self._size = min(2 * self._size, LONGEST)
        elif boundary.step >= self._next and not boundary.final and not self.problem:
            (self._snapshot,) = self._venv.env_method("snapshot", indices=[0])
            self._start = boundary.step
            self._recorder = _Recorder(self._venv)

    def close(self) -> None:
        """Leave the environments as they were found."""
        if self._recorder is not None:
            self._recorder.stop()
            self._recorder = None

    def _repeat(self, steps: list[Seen]) -> None:
        try:
            with preserved_generators():
                self.problem = self._difference(steps)
        except Exception as error:
            self.problem = f"a fresh copy cannot repeat it ({type(error).__name__}: {error})"
        self.count += not self.problem

    def _difference(self, steps: list[Seen]) -> str:
        venv = LocalVecEnv([partial(make_resumable_env, self._config)])
        try:
            venv._seeds = [self._seed]
            venv.reset()
            (problem,) = venv.env_method("restore", self._snapshot)
            if problem:
                return str(problem)
            for number, seen in enumerate(steps, start=1):
                again = _seen(seen.action, *venv.step(np.array([seen.action])))
                if again[1:] != seen[1:] and not np.isnan(seen.reward):
                    return self._told(number, seen, again)
        finally:
            venv.close()
        return ""

    def _told(self, number: int, seen: Seen, again: Seen) -> str:
        where = f"repeated from step {self._start}, step {number} of copy 0 gives"
        if again.reward != seen.reward:
            return f"{where} the reward {again.reward:.9g} instead of {seen.reward:.9g}"
        return f"{where} another observation"


class _Recorder:
    """Notes what the first copy does, between the vector of environments and its caller."""

    def __init__(self, venv: VecEnv) -> None:
        self.steps: list[Seen] = []
        self._venv = venv
        mine = ("step_async", "step_wait")
        self._before: dict[str, Any] = {
            name: vars(venv)[name] for name in mine if name in vars(venv)
        }
        self._send: Callable[[Any], None] = venv.step_async
        self._wait: Callable[[], Any] = venv.step_wait
        self._action: Any = None
        vars(venv).update(step_async=self._step_async, step_wait=self._step_wait)

    def stop(self) -> list[Seen]:
        """Note no more; return what was noted."""
        for name in ("step_async", "step_wait"):
            vars(self._venv).pop(name, None)
        vars(self._venv).update(self._before)
        return self.steps

    def _step_async(self, actions: Any) -> None:  # noqa: ANN401
        self._action = np.array(actions[0])
        self._send(actions)

    def _step_wait(self) -> Any:  # noqa: ANN401
        result = self._wait()
        if len(self.steps) < 4 * LONGEST:
            self.steps.append(_seen(self._action, *result))
        return result


def _seen(action: Any, observations: Any, rewards: Any, dones: Any, infos: Any) -> Seen:  # noqa: ANN401
    content = hashlib.blake2b(digest_size=16)
    _add(content, observations)
    if dones[0]:
        content.update(b"end")
        _add(content, infos[0].get("terminal_observation"), whole=True)
    return Seen(action, float(rewards[0]), content.digest())


def _add(content: Any, observation: Any, *, whole: bool = False) -> None:  # noqa: ANN401
    """Add the first of several observations, or one as a whole."""
    if isinstance(observation, Mapping):
        for key in sorted(observation):
            _add(content, observation[key], whole=whole)
    elif observation is not None:
        content.update(np.asarray(observation if whole else observation[0]).tobytes())
