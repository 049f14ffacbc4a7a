"""The vectorised training environments and the wrappers around them."""

from __future__ import annotations

import logging
from typing import TypeVar

from gymnasium.spaces import Box
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecMonitor

from roboyard.agents.hyperparameters import effective
from roboyard.agents.spaces import channels_first, has_images, keys_to_normalize
from roboyard.config.schema import ExperimentConfig
from roboyard.envs.vector.factory import make_vec_env
from roboyard.envs.vector.shared_memory import InfoMode
from roboyard.seeds import derive_seeds
from roboyard.training.data_parallel.group import Group
from roboyard.training.data_parallel.shared_vec_env import SharedVecEnv
from roboyard.training.envs.checked import CheckedVecEnv
from roboyard.training.envs.normalized import NormalizedVecEnv

_LOG = logging.getLogger(__name__)

W = TypeVar("W", bound=VecEnvWrapper)


def make_training_envs(
    config: ExperimentConfig, infos: InfoMode = "all", group: Group | None = None
) -> VecEnv:
    """Build the environments that a run trains in.

    The order is environments, check for NaN, monitor, channels of images first, normaliser: the
    monitor reports the environment's own rewards, not the scaled ones, and a replay buffer keeps
    what the normaliser was given. Images are not normalised: the network scales them itself.

    Args:
        config: The run's config.
        infos: Which infos worker processes hand over; those of episode ends are all that
            algorithms and Roboyard's own callbacks read.
        group: The processes that train the run together, if there are several.

    Raises:
        ConfigError: The environment does not exist or cannot be built as asked.
    """
    env = config.env
    seeds = derive_seeds(config.seed, "envs", env.num_envs)
    own = slice(0, env.num_envs) if group is None else group.rows(env.num_envs)
    # The processes are workers themselves.
    workers = 0 if group is not None and env.workers == "auto" else env.workers
    venv = make_vec_env(
        env,
        num_envs=own.stop - own.start,
        seeds=seeds[own],
        workers=workers,
        infos=infos,
        resumable=True,
    )
    if group is not None:
        venv = SharedVecEnv(venv, group, infos)
        venv._seeds = [int(seed) for seed in seeds]
    venv = VecMonitor(CheckedVecEnv(venv) if config.train.check_nan else venv)
    normalize = env.normalize
    if not (normalize.observations or normalize.rewards):
        return venv
    venv = channels_first(venv)
    scaled = normalize.observations and _has_numbers(venv)
    if normalize.observations and not scaled:
        _LOG.warning(
            "env.normalize.observations has no effect: %s holds no vector of numbers, and images "
            "are scaled by the network.",
            venv.observation_space,
        )
    return NormalizedVecEnv(
        venv,
        norm_obs=scaled,
        norm_obs_keys=keys_to_normalize(venv.observation_space) if scaled else None,
        norm_reward=normalize.rewards,
        clip_obs=normalize.clip_observations,
        clip_reward=normalize.clip_rewards,
        gamma=_gamma(config),
    )


def _has_numbers(venv: VecEnv) -> bool:
    """Return whether observations have entries that are worth normalising."""
    space = venv.observation_space
    keys = keys_to_normalize(space)
    return bool(keys) if keys is not None else isinstance(space, Box) and not has_images(space)


def _gamma(config: ExperimentConfig) -> float:
    found = effective(config.agent, "gamma", 0.99)
    return float(found) if isinstance(found, int | float) else 0.99


def seed_next_reset(venv: VecEnv, seeds: list[int]) -> None:
    """Give each copy the seed of its next reset; ``VecEnv.seed`` only takes a first one."""
    base_envs(venv)._seeds = list(seeds)


def base_envs(venv: VecEnv) -> VecEnv:
    """Return the vectorised environment inside all wrappers."""
    while isinstance(venv, VecEnvWrapper):
        venv = venv.venv
    return venv


def find_wrapper(venv: VecEnv, kind: type[W]) -> W | None:
    """Return the outermost wrapper of a kind, or None."""
    while isinstance(venv, VecEnvWrapper):
        if isinstance(venv, kind):
            return venv
        venv = venv.venv
    return None
