"""How long an environment works, and how much of that is physics.

Timers are put on single objects when they are asked for, so nothing is paid where they are not.
They change no result: what is timed is called with the same arguments at the same moments.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import gymnasium

if TYPE_CHECKING:
    from roboyard.sim.timing import StepTimer

_ATTRIBUTE: Final = "_roboyard_timer"
_TIMED: Final = ("step", "reset", "_begin", "_simulate", "_measure", "_finish")
"""All that works: the parts of a step are called on their own where environments step together."""


class WorkTime(NamedTuple):
    """How long environments have worked."""

    total_s: float
    """Time in steps and resets [s]."""
    physics_s: float | None
    """Its part in the physics engine [s]; None for environments that are not ``BaseRobotEnv``."""


class EnvTimer:
    """Adds up the time of an environment's steps and resets."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Time ``env`` from now on, its wrappers included."""
        self._nanoseconds = 0
        self._is_running = False
        self._physics = _step_timer(env.unwrapped)
        for name in _TIMED:
            if hasattr(env, name):
                vars(env)[name] = self._timed(getattr(env, name))

    def read(self) -> WorkTime:
        """Return the time since the start."""
        physics = None if self._physics is None else self._physics.nanoseconds / 1e9
        return WorkTime(self._nanoseconds / 1e9, physics)

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        now = time.perf_counter_ns

        def timed(*args: object, **kwargs: object) -> object:
            if self._is_running:  # as part of another one
                return method(*args, **kwargs)
            self._is_running = True
            start = now()
            try:
                return method(*args, **kwargs)
            finally:
                self._nanoseconds += now() - start
                self._is_running = False

        return timed


def _step_timer(env: gymnasium.Env[Any, Any]) -> StepTimer | None:
    # Imported late: nothing else of a process that has no such environment needs PyBullet.
    from roboyard.envs.base import BaseRobotEnv
    from roboyard.sim.timing import StepTimer

    return StepTimer(env.world) if isinstance(env, BaseRobotEnv) else None


def work_time(env: gymnasium.Env[Any, Any]) -> WorkTime:
    """Return how long ``env`` has worked since this was first called for it."""
    timer = vars(env).get(_ATTRIBUTE)
    if not isinstance(timer, EnvTimer):
        timer = EnvTimer(env)
        vars(env)[_ATTRIBUTE] = timer
    return timer.read()
