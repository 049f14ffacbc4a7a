"""Tiny environments for tests of agents and policies: one for each kind of space.

They have no physics. Observations are drawn from the environment's own generator, rewards are
the mean of the action, and episodes end after ``EPISODE_STEPS`` steps.
"""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

EPISODE_STEPS = 8

VECTOR = spaces.Box(-np.inf, np.inf, (3,), np.float32)
IMAGE = spaces.Box(0, 255, (40, 36, 3), np.uint8)
MIXED = spaces.Dict({"camera": IMAGE, "joints": spaces.Box(-1.0, 1.0, (2,), np.float32)})
GOAL = spaces.Dict(
    {key: spaces.Box(-1.0, 1.0, (2,)) for key in ("observation", "achieved_goal", "desired_goal")}
)
FORCE = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 5.0], np.float32))


def batch_of(space: spaces.Space[Any], count: int, seed: int = 0) -> Any:  # noqa: ANN401
    """Return random elements of a Box, or a Dict of these, one above the other."""
    space.seed(seed)
    rows = [space.sample() for _ in range(count)]
    if isinstance(space, spaces.Dict):
        return {key: np.stack([row[key] for row in rows]) for key in space}
    return np.stack(rows)


class FakeEnv(gymnasium.Env[Any, Any]):
    """An environment with any spaces."""

    def __init__(
        self,
        observation_space: spaces.Space[Any] = VECTOR,
        action_space: spaces.Space[Any] = FORCE,
    ) -> None:
        """Create it.

        Args:
            observation_space: Box, Discrete or a Dict of these.
            action_space: Any space.
        """
        # Copies, because stable_baselines3's VecNormalize edits a Dict space in place.
        self.observation_space = copy.deepcopy(observation_space)
        self.action_space = copy.deepcopy(action_space)
        self._steps = 0

    def _observe(self) -> Any:  # noqa: ANN401  (as many kinds as there are spaces)
        if isinstance(self.observation_space, spaces.Dict):
            return {key: self._draw(part) for key, part in self.observation_space.items()}
        return self._draw(self.observation_space)

    def _draw(self, space: spaces.Space[Any]) -> Any:  # noqa: ANN401
        if isinstance(space, spaces.Box) and space.dtype == np.uint8:
            return self.np_random.integers(0, 256, space.shape, np.uint8)
        if isinstance(space, spaces.Box):
            return self.np_random.uniform(-1.0, 1.0, space.shape).astype(space.dtype)
        if isinstance(space, spaces.Discrete):
            return int(self.np_random.integers(space.n))
        raise NotImplementedError(f"no draws from {space}")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._steps = 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # noqa: ANN401
        """Take a step."""
        self._steps += 1
        reward = float(np.mean(np.asarray(action, dtype=np.float64)))
        return self._observe(), reward, False, self._steps >= EPISODE_STEPS, {}

    def compute_reward(
        self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: object
    ) -> np.ndarray:
        """Return minus the distance to the goal, for hindsight relabelling."""
        distance: np.ndarray = -np.linalg.norm(achieved_goal - desired_goal, axis=-1)
        return distance
