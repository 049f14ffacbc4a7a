"""Snapshots of environments that offer none, made of what happened since the last reset.

A deterministic environment is a function of its generator and its memory at the reset, and of the
actions since. All are recorded, and repeated to restore; the rewards, the last observation and the
generators tell whether that led to the same state. The memory is what the environment and its
wrappers offer; see ``roboyard.envs.memory``.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from roboyard.config.schema import EnvConfig
from roboyard.envs.episode_log import EpisodeLog
from roboyard.envs.factory import make_env
from roboyard.envs.memory import (
    Changes,
    layers,
    read_memories,
    read_memory,
    write_memories,
)
from roboyard.envs.streams import GlobalStreams
from roboyard.sim.snapshot import pack, unpack

logger = logging.getLogger(__name__)

MAX_STEPS = 100_000
"""Longer episodes are not recorded to their end, so that memory stays bounded."""
_KIND = "recorded episode"
_LIMITED = "episode with a time limit"
_IN_PLACE = contextlib.nullcontext()


def make_resumable_env(config: EnvConfig, *, render_mode: str | None = None) -> gymnasium.Env:
    """Create an environment that can be saved in the middle of an episode.

    Args:
        config: As for ``make_env``.
        render_mode: As in Gymnasium.

    Returns:
        The environment itself if it has ``snapshot()`` and ``restore()``, else wrapped.
    """
    env = make_env(config, render_mode=render_mode)
    if not (env.has_wrapper_attr("snapshot") and env.has_wrapper_attr("restore")):
        return RecordedEnv(env)
    return LimitedSnapshotEnv(env) if isinstance(env, gymnasium.Wrapper) else env


class RecordedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Records each episode, and repeats it to restore it.

    What an environment carries over from one episode to the next without offering it is not
    seen; ``restore`` notices where that matters within the episode. The global generators of
    Python, NumPy and torch are each copy's own.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Record the episodes of ``env``."""
        super().__init__(env)
        self._streams = GlobalStreams()
        self._layers = list(layers(env))
        self._resets = 0
        self._seed: int | None = None
        self._log = EpisodeLog()
        self._rewards: list[float] = []
        self._observation: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Begin an episode and its record."""
        if seed is not None:
            self._streams.seed(seed)
        memory = {"layers": read_memories(self._layers), "streams": self._streams.get_state()}
        self._log.begin(self._generators(), memory, dict(options or {}))
        self._seed, self._rewards = seed, []
        self._resets += 1
        with self._lent():
            result = self.env.reset(seed=seed, options=options)
        self._observation = result[0]
        return result

    def step(self, action: Any) -> Any:  # noqa: ANN401
        """Step and record."""
        if len(self._rewards) < MAX_STEPS:
            self._log.add(action)
        if self._streams.is_needed:
            with self._streams.lent():
                result = self.env.step(action)
        else:
            result = self.env.step(action)
        self._observation = result[0]
        if len(self._rewards) <= MAX_STEPS:
            self._rewards.append(float(result[1]))
        return result

    def snapshot(self) -> bytes:
        """Return the episode's record.

        Raises:
            SimulationError: The options of the reset are not JSON values.
        """
        too_long = len(self._rewards) > MAX_STEPS
        state = {
            "resets": self._resets,
            "seed": self._seed,
            "too_long": too_long,
            "episode": None if too_long else self._log.to_record(),
            "rewards": None if too_long else np.asarray(self._rewards, np.float64),
            "observation": _plain(self._observation),
            "generator": self._generators().get("env"),
            "memories": read_memories(self._layers),
            "streams": self._streams.get_state(),
        }
        return pack(_KIND, state)

    def restore(self, data: bytes) -> str:
        """Repeat the episode of a :meth:`snapshot`.

        Returns:
            Why the state is not the saved one; empty if it is. The episode must then be given up.

        Raises:
            SimulationError: The bytes are damaged.
        """
        state = unpack(_KIND, data)
        if state["too_long"]:
            return f"its episode is longer than {MAX_STEPS:,} steps"
        start = time.perf_counter()
        self._begin(state)
        problem = self._repeat(state["episode"]["actions"], state["rewards"])
        if not problem and not _same(_plain(self._observation), state["observation"]):
            problem = "the last observation comes out differently"
        # That of the action space is the algorithm's too, which draws from it as it likes.
        if not problem and self._generators().get("env") != state["generator"]:
            problem = "its generator ends in another state"
        if not problem and "streams" in state:  # older versions kept neither
            write_memories(self._layers, state["memories"])
            if not self._streams.is_at(state["streams"]):
                problem = "the global generators end in another state"
        self._resets = state["resets"]
        count, spent = len(state["rewards"]), time.perf_counter() - start
        logger.info("repeated %d steps of an episode in %.2f s.", count, spent)
        return problem

    def _begin(self, state: Mapping[str, Any]) -> None:
        episode, seed = EpisodeLog.from_record(state["episode"]), state["seed"]
        is_there = not self._rewards and self._resets == state["resets"] == 1 and seed is not None
        if is_there and seed == self._seed:
            return  # the first reset of all may do more than later ones, so is not done again
        for name, generator in _generators(self.env).items():
            if name in episode.generator:
                generator.bit_generator.state = episode.generator[name]
        if episode.python_state:
            write_memories(self._layers, episode.python_state["layers"])
            self._streams.set_state(episode.python_state["streams"])
        self.reset(seed=seed, options=episode.options or None)
        # A repeated record must be that of the first time, to be repeated again.
        self._log.generator = episode.generator
        self._log.python_state = episode.python_state or self._log.python_state

    def _repeat(self, actions: Sequence[Any], rewards: Sequence[float]) -> str:
        for number, (action, reward) in enumerate(zip(actions, rewards, strict=True), start=1):
            _, again, terminated, truncated, _ = self.step(action)
            if float(again) != reward and not (np.isnan(again) and np.isnan(reward)):
                return f"step {number} now gives the reward {again:.9g} instead of {reward:.9g}"
            if (terminated or truncated) and number < len(rewards):
                return f"the episode now ends at step {number}"
        return ""

    def _lent(self) -> contextlib.AbstractContextManager[None]:
        return self._streams.lent() if self._streams.is_needed else _IN_PLACE

    def _generators(self) -> dict[str, Any]:
        return {name: g.bit_generator.state for name, g in _generators(self.env).items()}


class LimitedSnapshotEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Adds to an environment's own snapshots what the wrappers around it remember."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Add to the snapshots of ``env`` or of what it wraps."""
        super().__init__(env)
        self._outside: list[Any] = []
        for layer in layers(env):
            if hasattr(layer, "snapshot"):
                break
            self._outside.append(layer)
        silent = [layer for layer in self._outside if read_memory(layer) is None]
        self._watched = [Changes(layer, ("env",)) for layer in silent]

    def snapshot(self) -> bytes:
        """Return the environment's snapshot with the wrappers' memories.

        Raises:
            SimulationError: A wrapper remembers what a snapshot cannot hold.
        """
        inner = self.env.get_wrapper_attr("snapshot")()
        counts = [limit._elapsed_steps for limit in _limits(self.env)]
        memories = read_memories(self._outside)
        return pack(_LIMITED, {"environment": inner, "elapsed": counts, "memories": memories})

    def forgotten(self) -> str:
        """Return what a snapshot leaves out, in a few words; empty if that is nothing."""
        for watched in self._watched:
            if names := watched.names():
                return (
                    f"the wrapper '{type(watched.owner).__name__}' changes its attributes "
                    f"({', '.join(names)}) and offers no state() and load_state()"
                )
        return ""

    def restore(self, data: bytes) -> str:
        """Restore the environment and its limits; return why that is not exact, or nothing.

        Raises:
            SimulationError: The bytes are damaged.
        """
        state = unpack(_LIMITED, data)
        problem = self.env.get_wrapper_attr("restore")(state["environment"])
        for limit, count in zip(_limits(self.env), state["elapsed"], strict=True):
            limit._elapsed_steps = count
        if "memories" in state:
            write_memories(self._outside, state["memories"])
        return problem or ""


def _limits(env: gymnasium.Env[Any, Any]) -> list[gymnasium.wrappers.TimeLimit[Any, Any]]:
    found = []
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, gymnasium.wrappers.TimeLimit):
            found.append(env)
        env = env.env
    return found


def _generators(env: gymnasium.Env[Any, Any]) -> dict[str, np.random.Generator]:
    """Return the generators that exist; asking a property for one would make one."""
    inner = env.unwrapped
    owners = {"env": inner, "actions": inner.action_space, "observations": inner.observation_space}
    found = {name: getattr(owner, "_np_random", None) for name, owner in owners.items()}
    return {name: each for name, each in found.items() if isinstance(each, np.random.Generator)}


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return an observation in a form that a snapshot can hold."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return np.asarray(value)


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one.dtype == other.dtype and one.tobytes() == other.tobytes())
