"""Backends: who computes the updates, torch itself or XLA."""

from __future__ import annotations

import importlib.util
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from torch import nn

from roboyard.agents.algorithms import algorithm_class
from roboyard.agents.extractors import EXTRACTORS
from roboyard.agents.networks import activation_class
from roboyard.agents.torch.threads import OwnThreads
from roboyard.config.agents import AgentBase
from roboyard.config.algorithm_specs import ALGORITHMS, AlgorithmSpec
from roboyard.errors import ConfigError
from roboyard.optional import require
from roboyard.registry import resolve_entry

COMPILED_ACTIVATIONS = (nn.Tanh, nn.ReLU, nn.ELU, nn.GELU, nn.SiLU, nn.LeakyReLU, nn.Mish)
"""Activations that the jax backend knows."""
COMPILED_EXTRACTORS = (FlattenExtractor, NatureCNN, CombinedExtractor)
"""Features extractors that the jax backend knows."""


class BackendChoice(NamedTuple):
    """A backend, and the reason for it."""

    backend: str
    reason: str


def choose_backend(config: AgentBase) -> BackendChoice:
    """Decide what ``agent.backend: auto`` stands for here; JAX is not imported for that."""
    if config.backend != "auto":
        return BackendChoice(config.backend, "the config says so")
    obstacle = _obstacle(config)
    if obstacle is not None:
        return BackendChoice("torch", obstacle)
    return BackendChoice("jax", "its compiled updates are faster")


def _obstacle(config: AgentBase) -> str | None:
    """Return why the jax backend cannot train an agent, if it cannot."""
    network = config.network
    if _compiled_entry(config) is None:
        return f"jax does not have {config.algorithm}"
    if importlib.util.find_spec("jax") is None:
        return "jax is not installed; it learns faster: pip install 'roboyard[jax]'"
    activation = activation_class(network.activation)
    if activation is not None and activation not in COMPILED_ACTIVATIONS:
        return f"jax does not know the activation '{network.activation}'"
    kind = network.extractor.type
    if kind != "auto" and EXTRACTORS.resolve(kind) not in COMPILED_EXTRACTORS:
        return f"jax does not know the features extractor '{kind}'"
    return None


def _compiled_entry(config: AgentBase) -> str | None:
    spec = ALGORITHMS.entry(config.algorithm)
    return spec.jax if isinstance(spec, AlgorithmSpec) else None


def learner_class(config: AgentBase) -> type[BaseAlgorithm]:
    """Return the class that trains: the algorithm's own, or its compiled version.

    Raises:
        ConfigError: The algorithm is unknown, or the jax backend does not have it.
        MissingDependencyError: The jax backend is asked for and not installed.
    """
    if choose_backend(config).backend == "torch":
        return algorithm_class(config)
    require("jax", "jax")
    entry = _compiled_entry(config)
    if entry is None:
        raise ConfigError(
            f"agent.backend jax does not have {config.algorithm}. Use agent.backend: torch."
        )
    found = resolve_entry(entry, "algorithm of the jax backend")
    assert isinstance(found, type) and issubclass(found, BaseAlgorithm)
    return found


def set_up_learner(agent: BaseAlgorithm, threads: int, *, accelerator: bool | None = None) -> None:
    """Give a learner its threads, and a compiled one its device; may be done again.

    Nothing else in the process changes: another agent may have other threads.

    Args:
        agent: From ``build_agent``, before it has learnt anything.
        threads: For its updates on the CPU.
        accelerator: Whether a compiled learner runs on one; by default as before.

    Raises:
        ConfigError: The device is not there, or the networks cannot be compiled.
    """
    if isinstance(agent, OwnThreads):
        agent.threads = threads
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


def has_accelerator(backend: str) -> bool:
    """Return whether a backend can use an accelerator of this machine, without starting it."""
    if backend == "torch":
        return bool(torch.cuda.is_available())
    plugins = {entry.name for entry in entry_points(group="jax_plugins")}
    installed = any("cuda" in name or "rocm" in name for name in plugins)
    return installed and any(
        next(Path("/dev").glob(pattern), None) for pattern in ("nvidia[0-9]*", "kfd")
    )
