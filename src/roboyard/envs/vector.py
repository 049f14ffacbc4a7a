"""Several copies of an environment, stepped together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import gymnasium
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from roboyard.config.schema import EnvConfig
from roboyard.envs.factory import make_env
from roboyard.errors import ConfigError, TrainingError


@dataclass(frozen=True)
class EnvMaker:
    """Creates one copy; can be sent to another process."""

    config: EnvConfig
    render_mode: str | None = None

    def __call__(self) -> gymnasium.Env:
        """Create the environment."""
        return make_env(self.config, render_mode=self.render_mode)


def make_vec_env(
    config: EnvConfig,
    *,
    num_envs: int,
    seeds: Sequence[int],
    workers: int | Literal["auto"] = "auto",
    render_mode: str | None = None,
) -> VecEnv:
    """Create ``num_envs`` copies of an environment.

    Args:
        config: The environment; its own ``num_envs`` and ``workers`` are not looked at.
        num_envs: How many copies.
        seeds: Copy ``i`` is seeded with ``seeds[i]`` at the first reset.
        workers: Worker processes; 0 steps all copies in this process, which is best for cheap
            environments and is what ``"auto"`` chooses.
        render_mode: As in Gymnasium.

    Raises:
        ConfigError: The environment cannot be created, or the number of seeds is wrong.
        TrainingError: A worker process died while it started.
    """
    if num_envs < 1 or len(seeds) != num_envs:
        raise ConfigError(
            f"{len(seeds)} seeds were given for {num_envs} environments; "
            "give one seed for each, and at least one environment."
        )
    maker = EnvMaker(config, render_mode)
    makers: list[Callable[[], gymnasium.Env]] = [maker] * num_envs
    env = DummyVecEnv(makers) if workers in ("auto", 0) else _start_workers(maker, num_envs)
    env._seeds = [int(seed) for seed in seeds]  # VecEnv.seed() allows only seed, seed + 1, ...
    return env


def _start_workers(maker: EnvMaker, num_envs: int) -> VecEnv:
    # Created here first, so that a mistake is told in words and not by a dead process.
    maker().close()
    method = "forkserver" if sys.platform != "win32" else "spawn"
    try:
        return SubprocVecEnv([maker] * num_envs, start_method=method)
    except (EOFError, ConnectionError) as error:
        raise TrainingError(
            f"a worker process for '{maker.config.id}' died while it started; its own message "
            "stands above. Set env.workers to 0 to see it in this process."
        ) from error
