"""Several copies of an environment, stepped together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import gymnasium
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from roboyard.config.schema import EnvConfig
from roboyard.envs.factory import find_entry, make_env
from roboyard.envs.recorded import make_resumable_env
from roboyard.envs.registration import NATIVE_ENV, register_envs
from roboyard.envs.vector.lockstep import can_step_together
from roboyard.envs.vector.lockstep_vec_env import LocalVecEnv, LockstepVecEnv
from roboyard.envs.vector.shared_memory import (
    InfoMode,
    choose_workers,
    measure_step_cost,
)
from roboyard.envs.vector.shared_memory_vec_env import SharedMemoryVecEnv
from roboyard.errors import ConfigError
from roboyard.resources import available_cores

_logger = logging.getLogger(__name__)


def make_vec_env(
    config: EnvConfig,
    *,
    num_envs: int,
    seeds: Sequence[int],
    workers: int | Literal["auto"] = "auto",
    render_mode: str | None = None,
    infos: InfoMode = "all",
    resumable: bool = False,
) -> VecEnv:
    """Create ``num_envs`` copies of an environment.

    The number of workers changes how fast the copies step, and nothing else: trajectories are
    the same, seed for seed and bit for bit.

    Args:
        config: The environment; its own ``num_envs`` and ``workers`` are not looked at.
        num_envs: How many copies.
        seeds: Copy ``i`` is seeded with ``seeds[i]`` at the first reset.
        workers: Worker processes, each of which steps a block of copies; 0 steps all of them in
            this process; ``"auto"`` measures the environment and takes what is fastest.
        render_mode: As in Gymnasium.
        infos: With workers, whether all infos reach this process or only those of episode ends.
        resumable: Whether every copy must have ``snapshot()`` and ``restore()``.

    Raises:
        ConfigError: The environment cannot be created, or the number of seeds is wrong.
        TrainingError: A worker process died while it started.
    """
    if num_envs < 1 or len(seeds) != num_envs:
        raise ConfigError(
            f"{len(seeds)} seeds were given for {num_envs} environments; "
            "give one seed for each, and at least one environment."
        )
    # Not a lambda or a class of this module: unpickling it must not import torch into workers.
    make = make_resumable_env if resumable else make_env
    maker = partial(make, config, render_mode=render_mode)
    makers = [maker] * num_envs
    count = resolve_workers(config, num_envs) if workers == "auto" else workers
    env: VecEnv
    if count == 0:
        env = _in_this_process(config, [*makers])
    else:
        env = SharedMemoryVecEnv(makers, workers=count, infos=infos)
    env._seeds = [int(seed) for seed in seeds]  # VecEnv.seed() allows only seed, seed + 1, ...
    return env


def _in_this_process(
    config: EnvConfig, makers: list[Callable[[], gymnasium.Env[Any, Any]]]
) -> DummyVecEnv:
    envs = [make() for make in makers]
    if _steps_as_batch(config):
        from roboyard.envs.vector.batch_vec_env import BatchVecEnv  # needs MuJoCo

        return BatchVecEnv([partial(_given, env) for env in envs])
    kind = LockstepVecEnv if can_step_together(envs) else LocalVecEnv
    return kind([partial(_given, env) for env in envs])


def _steps_as_batch(config: EnvConfig) -> bool:
    """Return whether environments of ``config`` are of one native task."""
    register_envs()
    entry = NATIVE_ENV if config.id == NATIVE_ENV else find_entry(config.id)
    return entry == NATIVE_ENV


def _given(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    return env


def resolve_workers(config: EnvConfig, num_envs: int) -> int:
    """Return how many workers ``"auto"`` stands for on this machine; 0 for none.

    A throwaway copy is timed for a twentieth of a second, where there is anything to choose.

    Raises:
        ConfigError: The environment cannot be created.
    """
    cores = available_cores()
    if num_envs == 1 or cores == 1 or _steps_as_batch(config):
        return 0
    maker: partial[gymnasium.Env] = partial(make_env, config)
    cost = measure_step_cost(maker)
    workers = choose_workers(cores=cores, num_envs=num_envs, step_cost=cost)
    _logger.info(
        "env.workers: auto is %d (%d environments, %.0f us a step, %d cores)",
        workers,
        num_envs,
        cost * 1e6,
        cores,
    )
    return workers
