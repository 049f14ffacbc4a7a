"""Backends: who computes the updates, torch itself or XLA."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from roboyard.agents.algorithms import algorithm_class, algorithm_name
from roboyard.config.agents import AgentBase
from roboyard.optional import require
from roboyard.registry import Registry

COMPILED: Registry[type] = Registry(
    "algorithm of the jax backend",
    {
        "PPO": "roboyard.agents.jax.ppo:JaxPPO",
        "SAC": "roboyard.agents.jax.soft:JaxSAC",
        "TQC": "roboyard.agents.jax.soft:JaxTQC",
        "TD3": "roboyard.agents.jax.td3:JaxTD3",
        "CrossQ": "roboyard.agents.jax.crossq:JaxCrossQ",
    },
)
"""Algorithms that the jax backend has, which derive from those of torch."""


def learner_class(config: AgentBase) -> type[BaseAlgorithm]:
    """Return the class that trains: the algorithm's own, or its compiled version.

    Raises:
        ConfigError: The algorithm is unknown.
        MissingDependencyError: The jax backend is asked for and not installed.
    """
    if config.backend == "torch":
        return algorithm_class(config)
    require("jax", "jax")
    found: type[BaseAlgorithm] = COMPILED.resolve(algorithm_name(config))
    return found


def set_up_learner(agent: BaseAlgorithm, threads: int, *, accelerator: bool | None = None) -> None:
    """Give torch its threads, and a compiled learner its device; may be done again.

    Args:
        agent: From ``build_agent``, before it has learnt anything.
        threads: For whatever runs on the CPU.
        accelerator: Whether a compiled learner runs on one; by default as before.

    Raises:
        ConfigError: The device is not there, or the networks cannot be compiled.
    """
    torch.set_num_threads(threads)
    prepare = getattr(agent, "compile", None)
    if prepare is None:
        return
    from roboyard.agents.jax import runtime

    if accelerator is None:
        accelerator = agent.learner_device.platform != "cpu"  # type: ignore[attr-defined]
    prepare(runtime.start(threads, accelerator))


def refresh_policy(agent: BaseAlgorithm) -> None:
    """Bring the policy's tensors up to date, where a learner keeps newer ones elsewhere."""
    refresh = getattr(agent, "refresh_policy", None)
    if refresh is not None:
        refresh()


def has_accelerator(config: AgentBase) -> bool:
    """Return whether the backend can use an accelerator of this machine, without starting it."""
    if config.backend == "torch":
        return bool(torch.cuda.is_available())
    plugins = {entry.name for entry in entry_points(group="jax_plugins")}
    installed = any("cuda" in name or "rocm" in name for name in plugins)
    return installed and any(
        next(Path("/dev").glob(pattern), None) for pattern in ("nvidia[0-9]*", "kfd")
    )
