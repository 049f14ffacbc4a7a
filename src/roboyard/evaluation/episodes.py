"""Episodes with given seeds inside a vectorised environment that resets by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, SupportsFloat

import gymnasium
import numpy as np

from roboyard.config.schema import EnvConfig
from roboyard.envs.factory import make_env

RECORD_KEY = "roboyard/episode"
"""Key of an ``EpisodeRecord`` in the info of an episode's last step."""


class SeededEpisode(NamedTuple):
    """An episode to run."""

    number: int
    seed: int


class EpisodeRecord(NamedTuple):
    """An episode that was run. ``total_reward`` is summed in double precision."""

    number: int
    total_reward: float
    length: int
    success: bool | None
    metrics: Mapping[str, float] = MappingProxyType({})
    """What the environment reports of the episode: ``info["episode_metrics"]`` of its end."""


class SeededEpisodes(gymnasium.Wrapper[object, object, object, object]):
    """Runs the episodes it was given, each from its own seed, then stands still.

    A vectorised environment resets a copy whenever its episode ends, without a seed. Here each
    such reset takes the next seed of the list, so which episode a copy runs never depends on how
    long the other copies take. A copy without episodes left costs no physics.
    """

    def __init__(self, config: Mapping[str, Any], render_mode: str | None = None) -> None:
        """Create the environment.

        Args:
            config: An ``EnvConfig`` as a mapping, so that it can cross to a worker process.
            render_mode: As in Gymnasium.
        """
        super().__init__(make_env(EnvConfig.model_validate(config), render_mode=render_mode))
        self._waiting: deque[SeededEpisode] | None = None
        self._running: SeededEpisode | None = None
        self._observation: object = None
        self._total = 0.0
        self._length = 0

    def begin(self, episodes: Iterable[tuple[int, int]]) -> None:
        """Replace the list of (number, seed) pairs; the next reset starts the first of them."""
        self._waiting = deque(SeededEpisode(*episode) for episode in episodes)
        self._running = None

    def has_time_limit(self) -> bool:
        """Return whether something is known to end an episode by its length."""
        names = ("max_episode_steps", "_max_episode_steps")
        known = [getattr(self.env.spec, names[0], None)]
        env: object = self.env
        while env is not None:
            known += [getattr(env, name, None) for name in names if name in vars(env)]
            env = vars(env).get("env")
        return any(known)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[object, dict[str, Any]]:
        """Start the next episode of the list, or stand still when there is none."""
        if self._waiting is None:  # not told to begin: an ordinary environment, to be timed
            return self.env.reset(seed=seed, options=options)
        self._total, self._length = 0.0, 0
        self._running = self._waiting.popleft() if self._waiting else None
        if self._running is None:
            return self._observation, {}
        self._observation, info = self.env.reset(seed=self._running.seed, options=options)
        return self._observation, info

    def step(self, action: object) -> tuple[object, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the running episode; the last step's info holds its record."""
        if self._waiting is None:
            return self.env.step(action)
        if self._running is None:
            return self._observation, 0.0, False, False, {}
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._observation = observation
        self._total += float(reward)
        self._length += 1
        if terminated or truncated:
            success = info.get("is_success")
            record = EpisodeRecord(
                self._running.number,
                self._total,
                self._length,
                None if success is None else bool(success),
                _numbers(info.get("episode_metrics")),
            )
            info = {**info, RECORD_KEY: record}
        return observation, reward, terminated, truncated, info


def _numbers(found: object) -> dict[str, float]:
    """Return the numbers of a mapping; another environment may put anything there."""
    rows = found.items() if isinstance(found, Mapping) else ()
    numbers = ((str(name), _number(value)) for name, value in rows)
    return {name: value for name, value in numbers if value is not None}


def _number(value: object) -> float | None:
    """Return a real number of any type that NumPy knows as one; None for anything else."""
    if isinstance(value, str | bytes) or value is None:
        return None
    try:
        array = np.asarray(value)
    except ValueError:  # such as lists of several lengths
        return None
    return float(array.item()) if array.size == 1 and array.dtype.kind in "biuf" else None
