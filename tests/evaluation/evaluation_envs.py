"""Environments whose results can be worked out by hand."""

from __future__ import annotations

from typing import ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces


class Countdown(gymnasium.Env):
    """Ends after a number of steps drawn from the seed; pays ``pay`` of the length at the end.

    Long episodes have high returns, so favouring episodes that end soon would show.
    """

    metadata: ClassVar[dict] = {"render_modes": ["rgb_array"], "render_fps": 20}
    observation_space = spaces.Box(-100.0, 100.0, (2,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    opened: ClassVar[int] = 0
    seeds: ClassVar[list[int | None]] = []

    def __init__(self, render_mode=None, success_above=None, reward=0.0, fail_at=None):
        self.render_mode = render_mode
        self.success_above = success_above
        self.reward = float(reward)  # text where JSON has no number
        self.fail_at = fail_at
        self._open = True
        Countdown.opened += 1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        Countdown.seeds.append(seed)
        self.length = int(self.np_random.choice([2, 60]))
        self.left = self.length
        return self._observe(), {}

    def step(self, action):
        self.left -= 1
        if self.left == self.fail_at:
            raise RuntimeError("the motor caught fire")
        done = self.left == 0
        info = {"is_success": self.length > self.success_above} if self.success_above else {}
        return self._observe(), self.reward + float(self.length) * done, done, False, info

    def render(self):
        return np.full((41, 63, 3), self.left % 256, np.uint8)

    def close(self):
        Countdown.opened -= self._open
        self._open = False

    def _observe(self):
        return np.float32([self.left, self.length])


class ActionSum(gymnasium.Env):
    """Five steps; pays the first entry of the action, and shows a random number."""

    observation_space = spaces.Box(-9.0, 9.0, (3,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._observe(), {}

    def step(self, action):
        self.steps += 1
        return self._observe(), float(np.asarray(action).ravel()[0]), False, self.steps == 5, {}

    def _observe(self):
        return self.np_random.normal(size=3).astype(np.float32)


class DiscreteActionSum(ActionSum):
    """The same with a choice of two."""

    action_space = spaces.Discrete(2)


def lean(observation):
    """Act on the first entry."""
    return [np.tanh(observation[0])]


def noisy(observation):
    """Act by the process-wide generator."""
    return [np.random.uniform(-1, 1)]


def not_finite(observation):
    return [np.nan]


def too_many(observation):
    return [0.0, 0.0]


def broken(observation):
    return 1 / 0


class Remembering:
    """A policy with memory: acts by how many steps it has seen in this episode."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        count = np.zeros(len(observation)) if state is None else state[0]
        count = np.where(episode_start, 0.0, count) + 1.0
        return (count[:, None] / 10).astype(np.float32), (count,)


class Hoarding(ActionSum):
    """Carries something over from one episode to the next, as some simulations do."""

    episodes = 0

    def reset(self, *, seed=None, options=None):
        self.episodes += 1
        return super().reset(seed=seed, options=options)

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward + self.episodes, *rest
