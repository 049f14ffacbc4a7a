"""One task in another engine."""

from __future__ import annotations

from typing import cast

from roboyard.config.schema import EnvConfig
from roboyard.envs.factory import find_entry, make_env
from roboyard.envs.registration import register_envs
from roboyard.envs.task_env import TaskEnv
from roboyard.errors import ConfigError
from roboyard.registry import resolve_entry


def in_engine(config: EnvConfig, engine: str) -> EnvConfig:
    """Return the environment's config with another engine, and nothing else changed."""
    if config.task is not None:
        world = config.task.world.model_copy(update={"engine": engine})
        return config.model_copy(update={"task": config.task.model_copy(update={"world": world})})
    kwargs = dict(config.kwargs)
    overrides = kwargs.get("overrides")
    changed = dict(overrides) if isinstance(overrides, dict) else {}
    world_keys = changed.get("world")
    changed["world"] = {**(world_keys if isinstance(world_keys, dict) else {}), "engine": engine}
    return config.model_copy(update={"kwargs": {**kwargs, "overrides": changed}})


def task_env(config: EnvConfig, engine: str) -> TaskEnv:
    """Return the task in an engine.

    Raises:
        ConfigError: The environment is no task, so that its engine cannot be chosen.
    """
    if not _is_task(config):
        raise ConfigError(
            f"environment '{config.id}' is not described by a task, so that its engine cannot be "
            "chosen; give a policy that was trained on a task."
        )
    return cast("TaskEnv", make_env(in_engine(config, engine)).unwrapped)


def _is_task(config: EnvConfig) -> bool:
    register_envs()
    entry = find_entry(config.id)
    found = resolve_entry(entry) if isinstance(entry, str) else entry
    return isinstance(found, type) and issubclass(found, TaskEnv)
