"""Policies that nobody trained: random and zero actions, and the user's own function."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from roboyard.evaluation.parallel_rollouts import State

Observation = NDArray[Any] | dict[str, NDArray[Any]]


class RandomPolicy:
    """Draws actions from the action space, from generators of its own."""

    name: ClassVar[str] = "random"
    one_at_a_time: ClassVar[bool] = True

    def __init__(self, action_space: gymnasium.Space[Any], seed: int = 0) -> None:
        self.action_space = copy.deepcopy(action_space)
        self.action_space.seed(seed)

    def initial_state(self, seed: int) -> State:
        """Return a generator of actions for one episode."""
        space = copy.deepcopy(self.action_space)
        space.seed(seed)
        holder = np.empty(1, dtype=object)
        holder[0] = space
        return (holder,)

    def predict(
        self,
        observation: Observation,
        state: State | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], State | None]:
        """Return one drawn action per observation."""
        del episode_start, deterministic  # Unused: it is random either way.
        space = self.action_space if state is None else state[0][0]
        return np.stack([space.sample() for _ in range(_count(observation))]), state


class ZeroPolicy:
    """Always the zero action, or the one nearest to it that the action space allows."""

    name: ClassVar[str] = "zero"

    def __init__(self, action_space: gymnasium.Space[Any]) -> None:
        self.action_space = action_space
        action = np.zeros(action_space.shape or (), dtype=action_space.dtype)
        if isinstance(action_space, gymnasium.spaces.Box):
            action = np.clip(action, action_space.low, action_space.high)
        elif isinstance(action_space, gymnasium.spaces.Discrete | gymnasium.spaces.MultiDiscrete):
            action = action + np.asarray(action_space.start, dtype=action_space.dtype)
        self._action = action

    def predict(
        self,
        observation: Observation,
        state: State | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], State | None]:
        """Return the zero action for each observation."""
        del episode_start, deterministic  # Unused.
        return np.stack([self._action] * _count(observation)), state


class FunctionPolicy:
    """A function from one observation to one action."""

    one_at_a_time: ClassVar[bool] = True

    def __init__(self, function: Callable[[Any], object], name: str) -> None:
        self.name = name
        self._function = function

    def predict(
        self,
        observation: Observation,
        state: State | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], State | None]:
        """Return the function's action for each observation."""
        del episode_start, deterministic  # Unused.
        actions = [
            np.asarray(self._function(_row(observation, row))) for row in range(_count(observation))
        ]
        return np.stack(actions), state


def _count(observation: Observation) -> int:
    first = next(iter(observation.values())) if isinstance(observation, dict) else observation
    return len(first)


def _row(observation: Observation, row: int) -> Observation:
    if isinstance(observation, dict):
        return {key: value[row] for key, value in observation.items()}
    chosen: NDArray[Any] = observation[row]
    return chosen
